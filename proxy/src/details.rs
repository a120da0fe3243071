//! Discovery details: Akri hands them over as text, which is YAML by custom. The handler gets both the text and JSON.

use serde_json::{Map, Number, Value};
use serde_yaml_ng::Value as Yaml;

/// Deeper than any details that a person wrote; the guest's reader gives up at 128.
const DEPTH: usize = 100;

/// Converts details to JSON.
///
/// # Errors
/// Says why it cannot be done: not YAML, or YAML that JSON has no words for (keys that are lists, NaN, tags).
pub fn to_json(details: &str) -> Result<String, String> {
    if details.trim().is_empty() {
        return Ok("null".to_owned());
    }
    let yaml: Yaml = serde_yaml_ng::from_str(details).map_err(|error| error.to_string())?;
    Ok(converted(yaml, DEPTH)?.to_string())
}

fn converted(yaml: Yaml, depth: usize) -> Result<Value, String> {
    let deeper = depth.checked_sub(1).ok_or("it is nested too deeply")?;
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(truth) => truth.into(),
        Yaml::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
            (Some(number), _, _) => number.into(),
            (_, Some(number), _) => number.into(),
            (_, _, number) => Number::from_f64(number.unwrap_or(f64::NAN))
                .ok_or("a number is infinite or not a number")?
                .into(),
        },
        Yaml::String(text) => text.into(),
        Yaml::Sequence(items) => {
            items.into_iter().map(|item| converted(item, deeper)).collect::<Result<Vec<_>, _>>()?.into()
        }
        Yaml::Mapping(pairs) => {
            let mut object = Map::new();
            for (name, value) in pairs {
                object.insert(key(name)?, converted(value, deeper)?);
            }
            object.into()
        }
        Yaml::Tagged(tagged) => return Err(format!("the tag {} has no meaning here", tagged.tag)),
    })
}

fn key(yaml: Yaml) -> Result<String, String> {
    match yaml {
        Yaml::String(text) => Ok(text),
        Yaml::Bool(truth) => Ok(truth.to_string()),
        Yaml::Number(number) => Ok(number.to_string()),
        _ => Err("a key is neither text nor a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_becomes_json() {
        let json = |text| to_json(text).unwrap();
        assert_eq!(json("descriptions:\n- foo0\n- foo1\n"), r#"{"descriptions":["foo0","foo1"]}"#);
        assert_eq!(
            json("a: 1\nb: -2\nc: 1.5\nd: true\ne: ~\n7: x"),
            r#"{"7":"x","a":1,"b":-2,"c":1.5,"d":true,"e":null}"#
        );
        assert_eq!(json(""), "null");
        assert_eq!(json("  \n"), "null");
        assert_eq!(json("just text"), r#""just text""#);
        assert_eq!(json("x: &a [1]\ny: *a"), r#"{"x":[1],"y":[1]}"#);
    }

    #[test]
    fn what_json_cannot_say_is_refused_with_a_reason() {
        for bad in ["a: [", "a: .nan", "a: .inf", "? [1]\n: 2", "!x 1", "\t- a", "a: *nowhere"] {
            assert!(to_json(bad).is_err(), "{bad:?}");
        }
        let deep = format!("{}{}", "[".repeat(120), "]".repeat(120));
        assert!(to_json(&deep).is_err());
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let row = vec![format!("*a{}", n - 1); 9].join(", ");
            bomb += &format!("a{n}: &a{n} [{row}]\n");
        }
        assert!(to_json(&bomb).is_err());
    }
}
