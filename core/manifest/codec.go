package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
)

// magic begins every manifest.
const magic = "spillway-manifest "

// maxHeader bounds the search for the end of the first line.
const maxHeader = 128

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the first line for a body.
func header(version int, body []byte) string {
	return fmt.Sprintf("%sv%d crc32c=%08x len=%d\n", magic, version, crc32.Checksum(body, castagnoli), len(body))
}

// Encode returns m as the bytes of a manifest file.
func Encode(m *Manifest) ([]byte, error) {
	if err := m.validate(); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	var body bytes.Buffer
	e := json.NewEncoder(&body) // ends with a newline
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return append([]byte(header(m.Version, body.Bytes())), body.Bytes()...), nil
}

// Decode reads the bytes of a manifest file. Damage is a *CorruptError with name
// as its path; a format this build does not know wraps ErrNewerFormat.
func Decode(name string, data []byte) (*Manifest, error) {
	corrupt := func(off int, format string, args ...any) error {
		return &CorruptError{Path: name, Offset: int64(off), Reason: fmt.Sprintf(format, args...)}
	}
	if len(data) == 0 {
		return nil, corrupt(0, "the file is empty")
	}
	if !bytes.HasPrefix(data, []byte(magic)) {
		return nil, corrupt(0, "it does not begin with %q", magic)
	}
	end := bytes.IndexByte(data[:min(len(data), maxHeader)], '\n') + 1
	if end == 0 {
		return nil, corrupt(0, "the first line does not end")
	}
	line, body := string(data[:end]), data[end:]
	version, rest, _ := strings.Cut(line[len(magic):end-1], " ")
	v, err := strconv.ParseUint(strings.TrimPrefix(version, "v"), 10, 31)
	if err != nil || version != fmt.Sprintf("v%d", v) || v == 0 {
		return nil, corrupt(len(magic), "the format version %q is not a version", version)
	}
	if v > Version {
		return nil, fmt.Errorf("%s has format v%d, this build reads up to v%d: %w; start the version that wrote it",
			name, v, Version, ErrNewerFormat)
	}
	var sum uint32
	var size int64
	if _, err := fmt.Sscanf(rest, "crc32c=%08x len=%d", &sum, &size); err != nil || size < 0 ||
		line != fmt.Sprintf("%sv%d crc32c=%08x len=%d\n", magic, v, sum, size) {
		return nil, corrupt(len(magic), "the first line is not `%sv%d crc32c=… len=…`", magic, v)
	}
	if have := int64(len(body)); have < size {
		return nil, corrupt(len(data), "it is cut short: %d bytes after the first line, want %d", have, size)
	} else if have > size {
		return nil, corrupt(end+int(size), "%d bytes too many at the end", have-size)
	}
	if got := crc32.Checksum(body, castagnoli); got != sum {
		return nil, corrupt(end, "the checksum is %08x, want %08x", got, sum)
	}
	m := new(Manifest)
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(m); err != nil {
		return nil, corrupt(end+jsonOffset(err, d), "%v", err)
	}
	if m.Version != int(v) {
		return nil, corrupt(end, "the first line says version %d and what follows %d", v, m.Version)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, corrupt(end+int(d.InputOffset()), "something follows the JSON object")
	}
	if err := m.validate(); err != nil {
		return nil, corrupt(end, "%v", err)
	}
	return m, nil
}

// jsonOffset is where in the body a JSON error is.
func jsonOffset(err error, d *json.Decoder) int {
	var syntax *json.SyntaxError
	var typ *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return int(syntax.Offset)
	case errors.As(err, &typ):
		return int(typ.Offset)
	}
	return int(d.InputOffset())
}
