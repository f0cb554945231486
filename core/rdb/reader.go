package rdb

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Handler receives the content of a file in its order. A nil function skips
// what it would receive, unless it says otherwise. Slices and the Object are valid during the call only.
type Handler struct {
	Aux      func(key, value []byte)    // an aux field of the header
	DB       func(n int)                // the objects that follow live in database n
	ResizeDB func(keys, expires uint64) // a size hint, never to be trusted for an allocation
	Object   func(o *Object) error      // one key; an error stops Read, which returns it wrapped

	// Packed leaves values as they lie in the file where that can be, so that who keeps them so need not unpack
	// them: an Object has no Items where its Listpack, Intset or Nodes say it all, and a long list or stream
	// comes in several Objects with one key, of which all but the last say More. Each of them is checked as ever.
	Packed bool
	// Function receives the source of a function library; an error stops Read,
	// which returns it wrapped. A nil function leaves libraries to Unsupported: they
	// are never skipped without a word.
	Function func(code []byte) error
	// Unsupported is told of content that this package does not hand out. When
	// it returns nil that is walked over, where the format says where it ends
	// (module values and data, functions); an error stops Read. A nil
	// function refuses all of it.
	Unsupported func(e *UnsupportedError) error
	// Rest gets what follows the end mark, when the checksum was right. A nil
	// function insists that nothing follows.
	Rest func(r io.Reader) error
}

// Read reads one whole file from r to its end and hands its content to h.
//
// A nil error means that the checksum matched (or that the file says it has
// none, as Redis writes with "rdbchecksum no") and that nothing follows it.
// The content reaches h before that is known, so a caller must be able to
// discard what it got when Read fails. Keys whose deadline has passed are
// delivered like any other; empty collections, which old versions of Redis
// could write, are skipped as Redis skips them. Duplicate members are not
// looked for.
func Read(r io.Reader, h Handler) error {
	d := &decoder{source: newSource(r)}
	version, err := d.magic()
	if err != nil {
		return err
	}
	d.valkey = version >= valkeyVersion
	if h.Packed && h.Object != nil {
		d.keeps, d.part = true, h.Object
	}
	d.next()
	for {
		at := d.offset()
		code, err := d.byte()
		if err != nil {
			return err
		}
		switch {
		case code == opEOF:
			return d.trailer(version, h)
		case code >= opIdle || code == opSlotInfo:
			err = d.opcode(code, h)
		default:
			err = d.object(code, at, h)
			d.next()
		}
		if err != nil {
			return err
		}
	}
}

// MagicSize is how many bytes IsMagic looks at.
const MagicSize = 5

// IsMagic tells whether a file that begins so is an RDB file, of Redis or of Valkey.
func IsMagic(b []byte) bool { return string(b) == "REDIS" || string(b) == "VALKE" }

// magic takes the first nine bytes and returns the version in them.
func (d *decoder) magic() (int, error) {
	const size = 9
	p, err := d.take(size)
	if err != nil {
		return 0, err
	}
	version := 0
	for _, c := range p[5:] {
		if c < '0' || c > '9' {
			version = 0
			break
		}
		version = version*10 + int(c-'0')
	}
	if string(p[:6]) == "VALKEY" {
		version, _ = strconv.Atoi(string(p[6:]))
		if version < valkeyVersion {
			version = 0
		}
	} else if string(p[:5]) != "REDIS" {
		version = 0
	}
	if version == 0 {
		return 0, &CorruptError{Reason: fmt.Sprintf("not an RDB file: it begins with %q", p)}
	}
	if !readable(version) {
		return 0, &UnsupportedError{Name: "format version", Code: version, Offset: 5}
	}
	return version, nil
}

// readable tells whether files and payloads of a version are read.
func readable(version int) bool { return version <= maxReadVersion || version == valkeyVersion }

// opcode takes what follows an opcode other than the end.
func (d *decoder) opcode(code byte, h Handler) error {
	o := &d.obj
	switch code {
	case opAux:
		k, err := d.str()
		if err != nil {
			return err
		}
		v, err := d.str()
		switch {
		case err != nil:
		case string(k) == auxActive:
			d.active = append([]byte{}, v...)
		case h.Aux != nil:
			h.Aux(k, v)
		}
		d.reset()
		d.returned()
		return err
	case opSelectDB:
		n, err := d.length()
		if err != nil {
			return err
		}
		if n > math.MaxInt32 {
			return d.corrupt("database number %d", n)
		}
		o.DB = int(n)
		if h.DB != nil {
			h.DB(o.DB)
		}
	case opResizeDB:
		keys, err := d.length()
		if err != nil {
			return err
		}
		expires, err := d.length()
		if err == nil && h.ResizeDB != nil {
			h.ResizeDB(keys, expires)
		}
		return err
	case opSlotInfo:
		return d.lengths(3)
	case opExpireMS:
		p, err := d.take(8)
		if err != nil {
			return err
		}
		o.ExpireMS = int64(binary.LittleEndian.Uint64(p))
	case opExpire:
		p, err := d.take(4)
		if err != nil {
			return err
		}
		o.ExpireMS = int64(int32(binary.LittleEndian.Uint32(p))) * 1000
	case opIdle:
		n, err := d.length()
		if err != nil {
			return err
		}
		o.LRU = int64(min(n, math.MaxInt64))
	case opFreq:
		c, err := d.byte()
		if err != nil {
			return err
		}
		o.LFU = int(c)
	}
	return nil
}

// object takes the key and the value that a type byte announced.
func (d *decoder) object(enc byte, at int64, h Handler) error {
	if enc == opFunction2 && h.Function != nil {
		return d.function(at, h)
	}
	name := unsupportedType(enc)
	if name != "" && enc >= opKeyMeta { // an opcode: no key follows
		return d.unsupported(&UnsupportedError{Name: name, Code: int(enc), Offset: at}, h)
	}
	if name == "" && enc > encHashListEx {
		return &CorruptError{Offset: at, Reason: fmt.Sprintf("unknown type byte %d", enc)}
	}
	var err error
	if d.obj.Key, err = d.str(); err != nil {
		return err
	}
	if name != "" {
		return d.unsupported(&UnsupportedError{Name: name, Code: int(enc), Key: string(d.obj.Key), Offset: at}, h)
	}
	if err = d.value(enc); err != nil {
		return fmt.Errorf("rdb: load key %.100q of db %d: %w", d.obj.Key, d.obj.DB, err)
	}
	if h.Object == nil || d.obj.empty() && !d.parted {
		return nil
	}
	if err = h.Object(&d.obj); err != nil {
		return fmt.Errorf("rdb: load key %.100q of db %d at offset %d: %w", d.obj.Key, d.obj.DB, at, err)
	}
	return nil
}

// function takes a function library.
func (d *decoder) function(at int64, h Handler) error {
	code, err := d.str()
	if err != nil {
		return err
	}
	if err := h.Function(code); err != nil {
		return fmt.Errorf("rdb: load the function library at offset %d: %w", at, err)
	}
	return nil
}

// unsupported refuses what e tells of, or walks over it.
func (d *decoder) unsupported(e *UnsupportedError, h Handler) error {
	if h.Unsupported == nil || !skippable(byte(e.Code)) {
		return e
	}
	if err := h.Unsupported(e); err != nil {
		return err
	}
	return d.skip(byte(e.Code))
}

// unsupportedType names the content that a type byte or opcode announces if
// it is real but not for this package, else "".
func unsupportedType(enc byte) string {
	switch enc {
	case encModulePre, encModule2:
		return "module value"
	case opModuleAux:
		return "module data"
	case opKeyMeta:
		return "metadata of a key"
	case encStream4:
		return "stream with idempotent producers"
	case opFunction2, opFunctionPre:
		return "function library"
	}
	return ""
}

// trailer takes the checksum, which exists since version 5, and hands on what
// follows or insists that nothing does.
func (d *decoder) trailer(version int, h Handler) error {
	if version >= 5 {
		got := d.sum()
		p, err := d.take(8)
		if err != nil {
			return err
		}
		want := binary.LittleEndian.Uint64(p)
		if want != 0 && want != got {
			return d.corrupt("the checksum is %016x and should be %016x", got, want)
		}
	}
	if h.Rest != nil {
		return h.Rest(io.MultiReader(bytes.NewReader(d.buf[d.pos:d.end]), d.r))
	}
	end, err := d.atEnd()
	if err == nil && !end {
		err = d.corrupt("more bytes after the end mark")
	}
	return err
}
