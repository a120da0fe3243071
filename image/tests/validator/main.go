// Holds every document of image layouts against the schemas of the OCI image specification, as its authors publish them.
// For each folder that is named it prints how many documents of each kind it validated; the first one that is wrong
// ends it with status 1. What the specification has no schema for, such as a wasm artifact's configuration, is
// validated as the descriptor that names it.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/schema"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// The part of an index or a manifest that leads to other documents, each descriptor as it stands in the file.
type document struct {
	Config    json.RawMessage   `json:"config"`
	Layers    []json.RawMessage `json:"layers"`
	Manifests []json.RawMessage `json:"manifests"`
	Subject   json.RawMessage   `json:"subject"`
}

type counts struct{ indexes, manifests, configs, descriptors int }

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: validator LAYOUT...")
		os.Exit(2)
	}
	for _, root := range os.Args[1:] {
		found, err := layout(root)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", root, err)
			os.Exit(1)
		}
		fmt.Printf("%d indexes, %d manifests, %d configs, %d descriptors\n",
			found.indexes, found.manifests, found.configs, found.descriptors)
	}
}

func layout(root string) (found counts, err error) {
	if _, err = file(root, v1.ImageLayoutFile, schema.ValidatorMediaTypeLayoutHeader); err != nil {
		return found, err
	}
	content, err := file(root, v1.ImageIndexFile, schema.ValidatorMediaTypeImageIndex)
	if err != nil {
		return found, err
	}
	found.indexes++
	return found, children(root, content, &found)
}

// Validates all that a document's descriptors lead to.
func children(root string, content []byte, found *counts) error {
	var parsed document
	if err := json.Unmarshal(content, &parsed); err != nil {
		return err
	}
	descriptors := append(parsed.Manifests, parsed.Layers...)
	if parsed.Config != nil {
		descriptors = append(descriptors, parsed.Config)
	}
	// What it is about need not be there.
	if parsed.Subject != nil {
		if err := schema.ValidatorMediaTypeDescriptor.Validate(bytes.NewReader(parsed.Subject)); err != nil {
			return fmt.Errorf("subject %s: %w", parsed.Subject, err)
		}
	}
	for _, raw := range descriptors {
		if err := descriptor(root, raw, found); err != nil {
			return err
		}
	}
	return nil
}

func descriptor(root string, raw json.RawMessage, found *counts) error {
	if err := schema.ValidatorMediaTypeDescriptor.Validate(bytes.NewReader(raw)); err != nil {
		return fmt.Errorf("descriptor %s: %w", raw, err)
	}
	found.descriptors++
	var parsed v1.Descriptor
	if err := json.Unmarshal(raw, &parsed); err != nil {
		return err
	}
	path := filepath.Join(v1.ImageBlobsDir, parsed.Digest.Algorithm().String(), parsed.Digest.Encoded())
	switch parsed.MediaType {
	case v1.MediaTypeImageIndex, v1.MediaTypeImageManifest:
		content, err := blob(root, path, parsed)
		if err != nil {
			return err
		}
		if parsed.MediaType == v1.MediaTypeImageIndex {
			found.indexes++
		} else {
			found.manifests++
		}
		return children(root, content, found)
	case v1.MediaTypeImageConfig:
		found.configs++
		_, err := blob(root, path, parsed)
		return err
	default:
		return nil
	}
}

// A document that has a schema, held against that and against its descriptor.
func blob(root, path string, expected v1.Descriptor) ([]byte, error) {
	content, err := file(root, path, schema.Validator(expected.MediaType))
	if err == nil && (int64(len(content)) != expected.Size || digest.FromBytes(content) != expected.Digest) {
		err = fmt.Errorf("%s: not what its descriptor says", path)
	}
	return content, err
}

func file(root, path string, validator schema.Validator) ([]byte, error) {
	content, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return nil, err
	}
	if err := validator.Validate(bytes.NewReader(content)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return content, nil
}
