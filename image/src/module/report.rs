//! All that an inspection tells of a binary. Its names are its own words: hostile until escaped.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

use wasmparser::{BinaryReader, ExternalKind, Payload, ProducersSectionReader, TypeRef};

use super::features::{self, Checker};
use super::parts::{CustomSection, Export, ExternKind, Import, Memory, Table};
use super::portable::Portable;
use super::sections::{CUSTOM_SECTION, Section, Sections};
use super::{AotSection, BinaryKind, CommandKind, Feature, ModuleError, stream};
use crate::digest::{Algorithm, Digest};
use crate::inspect::unpack::hash;
use crate::spec;

/// Most imports, and most exports, that are listed; others are counted.
const MAX_NAMES: usize = 10_000;
/// Longest name that is kept, in characters; what is longer is cut.
const MAX_NAME: usize = 256;
/// Most bytes of a section of producers that are read; compilers write some hundreds.
const MAX_PRODUCERS: u64 = 64 * 1024;
/// The custom section of names. <https://webassembly.github.io/spec/core/appendix/custom.html#name-section>
const NAME_SECTION: &str = "name";
/// The custom section that tells what made the module.
/// <https://github.com/WebAssembly/tool-conventions/blob/main/ProducersSection.md>
const PRODUCERS_SECTION: &str = "producers";

/// What a binary is and needs.
#[derive(Clone, Debug, serde::Serialize)]
pub struct ModuleReport {
    /// A module or a component.
    pub kind: BinaryKind,
    /// Length in bytes.
    pub size: u64,
    /// The digest of the bytes.
    pub digest: Digest,
    /// What the validator says, if the module is not valid even with every feature that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invalid: Option<String>,
    /// Whether a WASI preview 1 host can run it as a program; no question of a component.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<CommandKind>,
    /// What it imports, by the module that it is imported from.
    pub imports: BTreeMap<String, Vec<Import>>,
    /// What it exports.
    pub exports: Vec<Export>,
    /// How many imports and exports are not listed, because there are too many.
    #[serde(skip_serializing_if = "is_zero")]
    pub left_off: u64,
    /// How many imports are listed.
    #[serde(skip)]
    listed: usize,
    /// Its memories, imported ones first.
    pub memories: Vec<Memory>,
    /// Its tables, imported ones first.
    pub tables: Vec<Table>,
    /// Its custom sections, in their order.
    pub custom_sections: Vec<CustomSection>,
    /// What made it, by field such as `language`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub producers: BTreeMap<String, Vec<String>>,
    /// Whether it has names for people who debug it.
    pub name_section: bool,
    /// Native code beside the portable one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub aot: Vec<AotSection>,
    /// The features that it needs; `None` for components and for what is not valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<Feature>>,
}

impl ModuleReport {
    /// Reads a binary from its beginning. That a module is not valid stands in the report; an error means that this is
    /// no binary, not the whole of one, or cannot be read.
    pub fn read(input: &mut (impl Read + Seek)) -> Result<Self, ModuleError> {
        let sections = Sections::read(input)?;
        input.rewind()?;
        let (digest, _) = hash(BufReader::new(&mut *input), Algorithm::Sha256, sections.size)?;
        let mut report = Self::new(sections.kind, sections.size, digest);
        for section in sections.list.iter().filter(|section| section.id == CUSTOM_SECTION) {
            report.custom(section, input)?;
        }
        if sections.kind == BinaryKind::Module {
            match report.module(&sections, input) {
                Err(ModuleError::Invalid(error)) => {
                    report.command = None;
                    report.invalid = Some(error.to_string().chars().take(MAX_NAME).collect());
                }
                other => other?,
            }
        }
        Ok(report)
    }

    fn new(kind: BinaryKind, size: u64, digest: Digest) -> Self {
        Self {
            kind,
            size,
            digest,
            invalid: None,
            command: None,
            imports: BTreeMap::new(),
            exports: Vec::new(),
            left_off: 0,
            listed: 0,
            memories: Vec::new(),
            tables: Vec::new(),
            custom_sections: Vec::new(),
            producers: BTreeMap::new(),
            name_section: false,
            aot: Vec::new(),
            features: None,
        }
    }

    fn custom(&mut self, section: &Section, input: &mut (impl Read + Seek)) -> io::Result<()> {
        let name = section.name.clone().unwrap_or_default();
        let size = section.content.end - section.content.start;
        input.seek(SeekFrom::Start(section.content.start))?;
        match name.as_str() {
            NAME_SECTION => self.name_section = true,
            PRODUCERS_SECTION if size <= MAX_PRODUCERS => {
                let mut bytes = Vec::new();
                input.take(size).read_to_end(&mut bytes)?;
                // One that is damaged says nothing, and harms no one.
                self.producers = producers(&bytes).unwrap_or_default();
            }
            spec::AOT_SECTION => self.aot.push(AotSection::read(input.take(size), size)),
            _ => {}
        }
        self.custom_sections.push(CustomSection { name, size });
        Ok(())
    }

    fn module(&mut self, sections: &Sections, input: &mut (impl Read + Seek)) -> Result<(), ModuleError> {
        let mut checker = Checker::new(features::every());
        let mut start = None;
        let mut memory = false;
        let mut atomics = false;
        stream::read(&mut Portable::new(sections, &mut *input), features::every(), |payload| {
            match payload {
                Payload::ImportSection(section) => {
                    for import in section.clone().into_imports() {
                        let import = import.map_err(stream::invalid)?;
                        self.import(import.module, import.name, import.ty);
                    }
                }
                Payload::MemorySection(section) => {
                    for memory in section.clone() {
                        self.memory(memory.map_err(stream::invalid)?, false);
                    }
                }
                Payload::TableSection(section) => {
                    for table in section.clone() {
                        self.table(table.map_err(stream::invalid)?.ty, false);
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section.clone() {
                        let export = export.map_err(stream::invalid)?;
                        match (export.name, export.kind) {
                            (spec::WASI_START, ExternalKind::Func) => start = Some(export.index),
                            (spec::WASI_MEMORY, ExternalKind::Memory) => memory = true,
                            _ => {}
                        }
                        self.export(export.name, export.kind);
                    }
                }
                Payload::CodeSectionEntry(body) if !atomics => {
                    atomics = features::has_atomics(body).map_err(stream::invalid)?;
                }
                _ => {}
            }
            let types = checker.take(payload)?;
            if let Some(types) = &types {
                self.command = Some(CommandKind::of(start, memory, &types.as_ref()));
            }
            Ok(types.is_some())
        })?;
        let mut needed = features::needed(|switches| {
            features::are_enough(switches, &mut Portable::new(sections, &mut *input))
        })?;
        if self.memories.iter().any(|memory| memory.shared) {
            // The validator has one switch for both halves of the proposal, engines have two.
            needed.retain(|feature| *feature != Feature::Threads || atomics);
            needed.push(Feature::SharedMemory);
        }
        needed.sort();
        self.features = Some(needed);
        Ok(())
    }

    fn import(&mut self, module: &str, name: &str, ty: TypeRef) {
        let kind = match ty {
            TypeRef::Func(_) | TypeRef::FuncExact(_) => ExternKind::Function,
            TypeRef::Table(table) => {
                self.table(table, true);
                ExternKind::Table
            }
            TypeRef::Memory(memory) => {
                self.memory(memory, true);
                ExternKind::Memory
            }
            TypeRef::Global(_) => ExternKind::Global,
            TypeRef::Tag(_) => ExternKind::Tag,
        };
        if self.listed < MAX_NAMES {
            self.listed += 1;
            self.imports.entry(cut(module)).or_default().push(Import { name: cut(name), kind });
        } else {
            self.left_off += 1;
        }
    }

    fn export(&mut self, name: &str, kind: ExternalKind) {
        let kind = match kind {
            ExternalKind::Func | ExternalKind::FuncExact => ExternKind::Function,
            ExternalKind::Table => ExternKind::Table,
            ExternalKind::Memory => ExternKind::Memory,
            ExternalKind::Global => ExternKind::Global,
            ExternalKind::Tag => ExternKind::Tag,
        };
        if self.exports.len() < MAX_NAMES {
            self.exports.push(Export { name: cut(name), kind });
        } else {
            self.left_off += 1;
        }
    }

    fn memory(&mut self, memory: wasmparser::MemoryType, imported: bool) {
        self.memories.push(Memory {
            min_pages: memory.initial,
            max_pages: memory.maximum,
            page_size: 1 << memory.page_size_log2.unwrap_or(16).min(63),
            memory64: memory.memory64,
            shared: memory.shared,
            imported,
        });
    }

    fn table(&mut self, table: wasmparser::TableType, imported: bool) {
        let element = table.element_type.to_string();
        self.tables.push(Table { element, min: table.initial, max: table.maximum, imported });
    }
}

fn producers(bytes: &[u8]) -> Result<BTreeMap<String, Vec<String>>, wasmparser::BinaryReaderError> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for field in ProducersSectionReader::new(BinaryReader::new(bytes, 0))? {
        let field = field?;
        for value in field.values {
            let value = value?;
            found.entry(cut(field.name)).or_default().push(cut(&format!("{} {}", value.name, value.version)));
        }
    }
    Ok(found)
}

fn cut(name: &str) -> String {
    name.chars().take(MAX_NAME).collect::<String>().trim_end().to_owned()
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
