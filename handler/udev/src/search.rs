//! The devices of a rule. What costs nothing is asked first: names, then links, then files, then the files of parents.

use std::borrow::Cow;

use akri_sysfs::{Device, Sysfs, Wanted};

use crate::glob::Glob;
use crate::rule::{Condition, Field, Operator, Pattern, Rule};

/// The devices that fulfil the rule, ordered by path.
pub(crate) fn devices(sysfs: &Sysfs, rule: &Rule) -> Vec<Device> {
    let checks = checks(rule);
    // By what they cost. (std's sort is some kilobytes for each type, and a rule has few conditions.)
    let ordered: Vec<&Check<'_>> = (0..=Field::DEAREST)
        .flat_map(|cost| checks.iter().filter(move |check| check.field().cost() == cost))
        .collect();
    let mut devices = candidates(sysfs, rule);
    devices.retain(|device| ordered.iter().all(|check| check.passes(device)) && device.exists());
    devices
}

/// A condition, or several that are alternatives.
enum Check<'r> {
    Is(&'r Condition),
    /// Two conditions on the one value of the same thing could never hold together, and udev's library, to which the
    /// native handler leaves them, takes either.
    Either(Vec<&'r Condition>),
}

impl Check<'_> {
    fn field(&self) -> Field {
        match self {
            Check::Is(condition) => condition.field,
            Check::Either(conditions) => conditions[0].field,
        }
    }

    fn passes(&self, device: &Device) -> bool {
        match self {
            Check::Is(condition) => condition.matches(device) == (condition.operator == Operator::Equal),
            Check::Either(conditions) => conditions.iter().any(|condition| condition.matches(device)),
        }
    }
}

fn checks(rule: &Rule) -> Vec<Check<'_>> {
    let mut checks: Vec<Check<'_>> = Vec::new();
    for condition in &rule.conditions {
        if !condition.is_alternative() {
            checks.push(Check::Is(condition));
            continue;
        }
        let same = checks.iter_mut().find_map(|check| match check {
            Check::Either(others) if others[0].field == condition.field && others[0].key == condition.key => {
                Some(others)
            }
            _ => None,
        });
        match same {
            Some(others) => others.push(condition),
            None => checks.push(Check::Either(vec![condition])),
        }
    }
    checks
}

/// Those to look at, found as cheaply as the rule allows.
fn candidates(sysfs: &Sysfs, rule: &Rule) -> Vec<Device> {
    if let Some(tag) = rule.one_of(Field::Tag) {
        return sysfs.tagged(tag);
    }
    if let Some(paths) = rule.literals(Field::Devpath) {
        return paths.iter().filter_map(|path| sysfs.at(path)).collect();
    }
    let (subsystems, names) = (rule.literals(Field::Subsystem), rule.literals(Field::Kernel));
    let subsystem_test = rule.test(Field::Subsystem);
    let name_test = rule.test(Field::Kernel);
    let subsystems = match &subsystems {
        Some(these) => Wanted::These(these),
        None => Wanted::Passing(&subsystem_test),
    };
    // A slash in a name is an exclamation mark in its directory entry.
    let entries: Option<Vec<String>> =
        names.map(|names| names.iter().map(|name| name.replace('/', "!")).collect());
    let entries: Option<Vec<&str>> =
        entries.as_ref().map(|entries| entries.iter().map(String::as_str).collect());
    let names = match &entries {
        Some(these) => Wanted::These(these),
        None => Wanted::Passing(&name_test),
    };
    sysfs.devices(subsystems, names)
}

impl Rule {
    fn of(&self, field: Field, operator: Operator) -> impl Iterator<Item = &Condition> {
        self.conditions
            .iter()
            .filter(move |condition| condition.field == field && condition.operator == operator)
    }

    /// The texts that the field has to equal one of; `None` where that is not a matter of a few texts.
    fn literals(&self, field: Field) -> Option<Vec<&str>> {
        let mut texts = Vec::new();
        for condition in self.of(field, Operator::Equal) {
            let Pattern::Glob(glob) = &condition.pattern else { return None };
            texts.extend(glob.literals()?);
        }
        (!texts.is_empty()).then_some(texts)
    }

    /// A text that the field has to equal.
    fn one_of(&self, field: Field) -> Option<&str> {
        self.of(field, Operator::Equal).find_map(|condition| match &condition.pattern {
            Pattern::Glob(glob) => {
                let mut literals = glob.literals()?;
                literals.next().filter(|_| literals.next().is_none())
            }
            Pattern::Regex(_) => None,
        })
    }

    /// A test of that field's texts.
    fn test(&self, field: Field) -> impl Fn(&str) -> bool {
        let asks = self.conditions.iter().any(|condition| condition.field == field);
        move |text| !asks || self.allows(field, text)
    }

    /// Whether the conditions on a field of one value let it pass, as far as its text alone tells.
    fn allows(&self, field: Field, text: &str) -> bool {
        let mut equal = self.of(field, Operator::Equal).peekable();
        // Few names are other ones in their directory entry.
        let differs = text.bytes().any(|byte| byte == b'!');
        let plain = if differs { Cow::from(text.replace('!', "/")) } else { Cow::from(text) };
        let hits = |condition: &Condition| {
            condition.pattern.matches(text) || differs && condition.pattern.matches(&plain)
        };
        (equal.peek().is_none() || equal.any(hits))
            && !self.of(field, Operator::Unequal).any(|condition| condition.pattern.matches(&plain))
    }
}

impl Field {
    /// The highest cost of all.
    const DEAREST: u8 = 6;

    /// What must be read to know it, as an order.
    fn cost(self) -> u8 {
        match self {
            Field::Subsystem | Field::Kernel | Field::Devpath => 0,
            Field::Kernels => 1,
            Field::Driver => 2,
            Field::Subsystems | Field::Drivers => 3,
            Field::Attr => 4,
            Field::Env | Field::Tag | Field::Tags => 5,
            Field::Attrs => Self::DEAREST,
        }
    }
}

impl Condition {
    fn is_alternative(&self) -> bool {
        let single = [Field::Subsystem, Field::Kernel, Field::Devpath, Field::Attr, Field::Env];
        self.operator == Operator::Equal && single.contains(&self.field)
    }

    /// Whether what the field says matches the pattern, whatever the operator.
    fn matches(&self, device: &Device) -> bool {
        let hit = |text: &str| self.pattern.matches(text);
        match self.field {
            Field::Kernel => {
                // Natively the entry's name is compared, where a slash is an exclamation mark.
                let name = device.name();
                hit(name)
                    || self.operator == Operator::Equal
                        && name.bytes().any(|byte| byte == b'/')
                        && hit(&name.replace('/', "!"))
            }
            Field::Devpath => hit(device.devpath()),
            Field::Subsystem => device.subsystem().is_some_and(hit),
            Field::Driver => device.driver().is_some_and(hit),
            Field::Attr => device.attribute(&self.key).is_some_and(|value| hit(&value)),
            Field::Env => self.property_matches(device),
            Field::Tag => device.tags().iter().any(|tag| hit(tag)),
            Field::Tags => inherited(device, |device| device.tags().iter().any(|tag| hit(tag))),
            Field::Kernels => inherited(device, |device| hit(device.name())),
            Field::Subsystems => inherited(device, |device| device.subsystem().is_some_and(hit)),
            Field::Drivers => inherited(device, |device| device.driver().is_some_and(hit)),
            Field::Attrs => {
                inherited(device, |device| device.attribute(&self.key).is_some_and(|value| hit(&value)))
            }
        }
    }

    fn property_matches(&self, device: &Device) -> bool {
        // For udev's library the property's name may be a pattern, too.
        if self.operator == Operator::Equal && Glob::is_pattern(&self.key) {
            let names = Glob::new(&self.key);
            let all = device.properties();
            return all.iter().any(|(name, value)| names.matches(name) && self.pattern.matches(value));
        }
        device.property(&self.key).is_some_and(|value| self.pattern.matches(&value))
    }
}

/// Whether something is true of a device or of one above it.
fn inherited(device: &Device, holds: impl Fn(&Device) -> bool) -> bool {
    device.lineage().any(|device| holds(&device) && device.exists())
}
