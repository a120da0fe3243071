//! Which features of WebAssembly a module needs: those without which it is not valid. Found by validating it with fewer
//! and fewer of them, so that nothing is guessed from names or from what a compiler says of itself.

use std::fmt;
use std::io::Read;

use wasmparser::{
    BinaryReaderError, FuncValidatorAllocations, FunctionBody, Payload, ValidPayload, Validator, WasmFeatures,
};

use super::ModuleError;
use super::stream::{self, invalid};

/// What was added to WebAssembly after its first version, each by a proposal.
/// <https://github.com/WebAssembly/proposals/blob/main/finished-proposals.md>
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Feature {
    /// Imported and exported globals that change.
    MutableGlobals,
    /// `i32.extend8_s` and its like.
    SignExtension,
    /// `i32.trunc_sat_f32_s` and its like.
    NontrappingFptoint,
    /// Functions and blocks of several results.
    MultiValue,
    /// `memory.copy`, passive segments.
    BulkMemory,
    /// `externref`, several tables, and the longer encoding of table numbers that LLVM writes.
    ReferenceTypes,
    /// `v128`.
    Simd,
    /// `v128` whose results differ between machines.
    RelaxedSimd,
    /// Atomic instructions.
    Threads,
    /// A memory that threads share. Part of the proposal for threads, but switched by itself in some engines.
    SharedMemory,
    /// `return_call`.
    TailCall,
    /// Sums in constant expressions.
    ExtendedConst,
    /// More than one memory.
    MultiMemory,
    /// Memories and tables of 64-bit addresses.
    Memory64,
    /// `try_table`, tags.
    Exceptions,
    /// `try` and `catch`, as browsers had them first.
    LegacyExceptions,
    /// Typed references to functions.
    FunctionReferences,
    /// Structures and arrays.
    Gc,
    /// `i64.add128` and its like.
    WideArithmetic,
    /// Pages of one byte.
    CustomPageSizes,
    /// Imports that name their module once.
    CompactImports,
}

/// What the validator calls them, the oldest first: where two would do, the older one is reported.
const SWITCHES: [(Feature, WasmFeatures); 20] = [
    (Feature::MutableGlobals, WasmFeatures::MUTABLE_GLOBAL),
    (Feature::SignExtension, WasmFeatures::SIGN_EXTENSION),
    (Feature::NontrappingFptoint, WasmFeatures::SATURATING_FLOAT_TO_INT),
    (Feature::MultiValue, WasmFeatures::MULTI_VALUE),
    (Feature::BulkMemory, WasmFeatures::BULK_MEMORY),
    (Feature::ReferenceTypes, WasmFeatures::REFERENCE_TYPES),
    (Feature::Simd, WasmFeatures::SIMD),
    (Feature::RelaxedSimd, WasmFeatures::RELAXED_SIMD),
    (Feature::Threads, WasmFeatures::THREADS),
    (Feature::TailCall, WasmFeatures::TAIL_CALL),
    (Feature::ExtendedConst, WasmFeatures::EXTENDED_CONST),
    (Feature::MultiMemory, WasmFeatures::MULTI_MEMORY),
    (Feature::Memory64, WasmFeatures::MEMORY64),
    (Feature::Exceptions, WasmFeatures::EXCEPTIONS),
    (Feature::LegacyExceptions, WasmFeatures::LEGACY_EXCEPTIONS),
    (Feature::FunctionReferences, WasmFeatures::FUNCTION_REFERENCES),
    (Feature::Gc, WasmFeatures::GC),
    (Feature::WideArithmetic, WasmFeatures::WIDE_ARITHMETIC),
    (Feature::CustomPageSizes, WasmFeatures::CUSTOM_PAGE_SIZES),
    (Feature::CompactImports, WasmFeatures::COMPACT_IMPORTS),
];
/// How many of them every engine has; most modules need none of the others, which are then ruled out at one blow.
const COMMON: usize = 6;

impl Feature {
    /// All of them, the oldest first.
    pub fn all() -> impl Iterator<Item = Self> {
        SWITCHES.iter().map(|(feature, _)| *feature).chain([Self::SharedMemory])
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The same word as in JSON.
        serde::Serialize::serialize(self, f)
    }
}

/// All features that are known here.
pub(super) fn every() -> WasmFeatures {
    SWITCHES.iter().fold(WasmFeatures::MVP, |all, (_, switch)| all | *switch)
}

/// The features without any of which a valid module is invalid. `holds` says whether these are enough for it.
pub(super) fn needed(
    mut holds: impl FnMut(WasmFeatures) -> Result<bool, ModuleError>,
) -> Result<Vec<Feature>, ModuleError> {
    let mut left = every();
    let (common, newer) = SWITCHES.split_at(COMMON);
    for group in [newer, common] {
        reduce(&mut holds, group, &mut left)?;
    }
    Ok(SWITCHES.iter().filter(|(_, switch)| left.contains(*switch)).map(|(feature, _)| *feature).collect())
}

/// Takes from `left` what it can of `group`: all at once, or else half by half.
fn reduce(
    holds: &mut impl FnMut(WasmFeatures) -> Result<bool, ModuleError>,
    group: &[(Feature, WasmFeatures)],
    left: &mut WasmFeatures,
) -> Result<(), ModuleError> {
    let fewer = group.iter().fold(*left, |fewer, (_, switch)| fewer - *switch);
    if holds(fewer)? {
        *left = fewer;
    } else if group.len() > 1 {
        let (older, newer) = group.split_at(group.len() / 2);
        reduce(holds, newer, left)?;
        reduce(holds, older, left)?;
    }
    Ok(())
}

/// Whether a module is valid with these features. An error means that it cannot be read.
pub(super) fn are_enough(features: WasmFeatures, input: &mut impl Read) -> Result<bool, ModuleError> {
    let mut checker = Checker::new(features);
    match stream::read(input, features, |payload| Ok(checker.take(payload)?.is_some())) {
        Ok(_) => Ok(true),
        Err(ModuleError::Io(error)) => Err(error.into()),
        Err(_) => Ok(false),
    }
}

/// Whether a function has instructions of the proposal for threads, by the byte that they begin with.
/// <https://github.com/WebAssembly/threads/blob/main/proposals/threads/Overview.md#representation>
pub(super) fn has_atomics(body: &FunctionBody<'_>) -> Result<bool, BinaryReaderError> {
    const PREFIX: u8 = 0xfe;
    let mut operators = body.get_operators_reader()?;
    while !operators.eof() {
        let at = operators.original_position() - body.range().start;
        if usize::try_from(at).ok().and_then(|at| body.as_bytes().get(at)) == Some(&PREFIX) {
            return Ok(true);
        }
        operators.read()?;
    }
    Ok(false)
}

/// A validation in progress.
pub(super) struct Checker {
    validator: Validator,
    allocations: FuncValidatorAllocations,
}

impl Checker {
    pub(super) fn new(features: WasmFeatures) -> Self {
        Self { validator: Validator::new_with_features(features), allocations: Default::default() }
    }

    /// Takes one piece of the module; its types at its end.
    pub(super) fn take(
        &mut self,
        payload: &Payload<'_>,
    ) -> Result<Option<wasmparser::types::Types>, ModuleError> {
        match self.validator.payload(payload).map_err(invalid)? {
            ValidPayload::Func(function, body) => {
                let mut validator = function.into_validator(std::mem::take(&mut self.allocations));
                validator.validate(&body).map_err(invalid)?;
                self.allocations = validator.into_allocations();
                Ok(None)
            }
            ValidPayload::End(types) => Ok(Some(types)),
            ValidPayload::Ok | ValidPayload::Parser(_) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(text: &str) -> String {
        let bytes = wat::parse_str(text).unwrap();
        let found = needed(|features| are_enough(features, &mut bytes.as_slice())).unwrap();
        found.iter().map(Feature::to_string).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_features_smallest_module_needs_it() {
        for (text, expected) in [
            ("(module)", ""),
            (r#"(module (global (export "g") (mut i32) (i32.const 0)))"#, "mutable-globals"),
            ("(module (func (drop (i32.extend8_s (i32.const 1)))))", "sign-extension"),
            ("(module (func (drop (i32.trunc_sat_f32_s (f32.const 1)))))", "nontrapping-fptoint"),
            ("(module (func (result i32 i32) (i32.const 1) (i32.const 2)))", "multi-value"),
            (
                "(module (memory 1) (func (memory.fill (i32.const 0) (i32.const 0) (i32.const 1))))",
                "bulk-memory",
            ),
            ("(module (table 1 externref))", "reference-types"),
            ("(module (func (drop (v128.const i32x4 0 0 0 0))))", "simd"),
            (
                "(module (func (param v128) (drop (i8x16.relaxed_swizzle (local.get 0) (local.get 0)))))",
                "simd relaxed-simd",
            ),
            ("(module (memory 1 1 shared))", "threads"),
            ("(module (func $f (return_call $f)))", "tail-call"),
            ("(module (global i32 (i32.add (i32.const 1) (i32.const 2))))", "extended-const"),
            ("(module (memory 1) (memory 1))", "multi-memory"),
            ("(module (memory i64 1))", "memory64"),
            ("(module (tag))", "exceptions"),
            ("(module (type $t (func)) (func (param (ref null $t))))", "reference-types function-references"),
            ("(module (type (struct)))", "gc"),
            (
                "(module (func (param i64) (i64.add128 (local.get 0) (local.get 0) (local.get 0) (local.get 0)) (drop) (drop)))",
                "wide-arithmetic",
            ),
            ("(module (memory 1 (pagesize 1)))", "custom-page-sizes"),
            (
                "(module (memory i64 1) (memory 1) (func (result i32 i32) (i32.const 1) (i32.extend8_s (i32.const 1))))",
                "sign-extension multi-value multi-memory memory64",
            ),
        ] {
            assert_eq!(features(text), expected, "{text}");
        }
    }

    #[test]
    fn the_set_is_enough_and_nothing_in_it_is_idle() {
        let text = r#"(module (memory i64 1 1 shared) (table 1 externref)
            (func $f (result i32 v128) (i32.const 1) (v128.const i32x4 0 0 0 0))
            (func (result i32 v128) (return_call $f)))"#;
        let bytes = wat::parse_str(text).unwrap();
        let enough = |features| are_enough(features, &mut bytes.as_slice());
        let found = needed(enough).unwrap();
        let of = |features: &[Feature]| {
            SWITCHES
                .iter()
                .filter(|(feature, _)| features.contains(feature))
                .fold(WasmFeatures::MVP, |all, (_, switch)| all | *switch)
        };
        assert!(enough(of(&found)).unwrap());
        assert_eq!(found.len(), 6);
        for without in 0..found.len() {
            let mut fewer = found.clone();
            fewer.remove(without);
            assert!(!enough(of(&fewer)).unwrap(), "{:?}", found[without]);
        }
    }
}
