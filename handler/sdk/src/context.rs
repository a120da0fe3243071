//! What a discovery function may look at beside its details.

use akri_exchange::{InputName, Properties, PropertyValue};

use crate::directory::Directory;
use crate::files::read_input;

/// The properties of the request and the inputs of the pod.
#[derive(Debug)]
pub struct Context {
    properties: Properties,
    inputs: Inputs,
}

#[derive(Debug)]
enum Inputs {
    Directory(Directory),
    /// A list, not a map: every handler has the code for it, and only its tests use it.
    Given(Vec<(String, Vec<u8>)>),
}

impl Context {
    pub(crate) fn new(properties: Properties, directory: &Directory) -> Self {
        Self { properties, inputs: Inputs::Directory(directory.clone()) }
    }

    /// The properties back.
    pub(crate) fn into_properties(self) -> Properties {
        self.properties
    }

    /// A context for a handler's own tests, with nothing in it.
    pub fn for_tests() -> Self {
        Self { properties: Properties::default(), inputs: Inputs::Given(Vec::new()) }
    }

    /// The context with these properties.
    #[must_use]
    pub fn with_properties<const N: usize>(mut self, properties: [(&str, Option<&[u8]>); N]) -> Self {
        self.properties = properties
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.map(<[u8]>::to_vec)))
            .collect();
        self
    }

    /// The context with this input. Meant for tests: a context of the running handler is not changed by it.
    #[must_use]
    pub fn with_input(mut self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        if let Inputs::Given(inputs) = &mut self.inputs {
            inputs.insert(0, (name.to_owned(), value.into()));
        }
        self
    }

    /// A property of the Configuration; `None` where it does not name it. Its value may be a credential: do not print it.
    pub fn property(&self, name: &str) -> Option<&PropertyValue> {
        self.properties.get(name)
    }

    /// The contents of `inputs/<name>`; `None` where there is no such file, or none that may be read (a name that is no
    /// file name, more than 64 KiB). When an input changes, every job is looked at again.
    pub fn input(&self, name: &str) -> Option<Vec<u8>> {
        let name: InputName = name.parse().ok()?;
        match &self.inputs {
            Inputs::Directory(directory) => read_input(directory, &name),
            Inputs::Given(inputs) => {
                let (_, value) = inputs.iter().find(|(given, _)| given == name.as_str())?;
                Some(value.clone())
            }
        }
    }
}
