package sink

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
)

// SetFile is the name of the document that makes a set visible, next to its
// parts.
const SetFile = "SET.json"

// MaxSetFile bounds the size of a set's document.
const MaxSetFile = 64 << 20

const (
	setFormat  = "spillway-set"
	setVersion = 1
)

// setDocument is SET.json. The checksum is over the compact form of Set, so
// the file may be reformatted but not altered.
type setDocument struct {
	Format  string          `json:"format"`
	Version int             `json:"version"`
	CRC32C  string          `json:"crc32c"`
	Set     json.RawMessage `json:"set"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// EncodeSet returns the document that a sink stores to publish a set: indented
// JSON with a checksum in it.
func EncodeSet(s Set) ([]byte, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode set %s: %w", s.ID, err)
	}
	doc, err := json.MarshalIndent(setDocument{
		Format: setFormat, Version: setVersion,
		CRC32C: fmt.Sprintf("%08x", crc32.Checksum(body, castagnoli)),
		Set:    body,
	}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode set %s: %w", s.ID, err)
	}
	return append(doc, '\n'), nil
}

// DecodeSet reads what EncodeSet wrote. Anything else is an error; a document
// that was damaged wraps ErrCorrupt.
func DecodeSet(b []byte) (Set, error) {
	var s Set
	if len(b) > MaxSetFile {
		return s, fmt.Errorf("set document of %d bytes; at most %d are read: %w", len(b), MaxSetFile, ErrCorrupt)
	}
	var doc setDocument
	if err := json.Unmarshal(b, &doc); err != nil {
		return s, fmt.Errorf("set document: %w: %w", ErrCorrupt, err)
	}
	if doc.Format != setFormat {
		return s, fmt.Errorf("set document: format %.40q, want %q: %w", doc.Format, setFormat, ErrCorrupt)
	}
	if doc.Version != setVersion {
		return s, Permanent(fmt.Errorf("set document: version %d is not one this program reads (%d); use a newer spillway", doc.Version, setVersion))
	}
	var body bytes.Buffer
	if err := json.Compact(&body, doc.Set); err != nil {
		return s, fmt.Errorf("set document: %w: %w", ErrCorrupt, err)
	}
	if sum := fmt.Sprintf("%08x", crc32.Checksum(body.Bytes(), castagnoli)); sum != doc.CRC32C {
		return s, fmt.Errorf("set document: checksum %s, but it says %.16q: %w", sum, doc.CRC32C, ErrCorrupt)
	}
	if err := json.Unmarshal(body.Bytes(), &s); err != nil {
		return Set{}, fmt.Errorf("set document: %w: %w", ErrCorrupt, err)
	}
	for i := range s.Parts {
		p := &s.Parts[i]
		if err := CheckPart(p.Part); err != nil {
			return Set{}, fmt.Errorf("set document: part %d: %w: %w", i, ErrCorrupt, err)
		}
		if p.Bytes < 0 || p.RawBytes < 0 || p.Part.ID() != s.ID {
			return Set{}, fmt.Errorf("set document: part %d (%s) contradicts the set: %w", i, p.Part.Name, ErrCorrupt)
		}
	}
	if err := CheckToken(s.ID.Token); err != nil {
		return Set{}, fmt.Errorf("set document: %w: %w", ErrCorrupt, err)
	}
	if !s.ID.Kind.Valid() {
		return Set{}, fmt.Errorf("set document: kind %.40q: %w", string(s.ID.Kind), ErrCorrupt)
	}
	return s, nil
}
