package rdb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
)

// moduleValue has every opcode.
func moduleValue() []byte {
	b := appendLen(nil, 1<<60) // id
	b = appendLen(appendLen(b, 1), 5)
	b = appendLen(appendLen(b, 2), 1<<40)
	b = append(appendLen(b, 3), 1, 2, 3, 4)
	b = append(appendLen(b, 4), 1, 2, 3, 4, 5, 6, 7, 8)
	b = appendString(appendLen(b, 5), []byte("some text"))
	return appendLen(b, 0)
}

// unsupportedFile holds everything that can be walked over, between strings.
func unsupportedFile() []byte {
	str := func(k string) []byte { return object(encString, k, appendString(nil, []byte("v"))) }
	aux := append([]byte{opModuleAux}, appendLen(nil, 1<<60)...)
	aux = append(appendLen(appendLen(aux, 2), 1), moduleValue()[9:]...)
	return seal(11,
		appendString([]byte{opFunction2}, []byte("#!lua name=x")), aux, str("a"),
		append([]byte{opExpireMS, 1, 2, 3, 4, 5, 6, 7, 8}, object(encModule2, "m1", moduleValue())...), str("b"),
		object(encModule2, "m", moduleValue()), str("c"))
}

func TestSkipUnsupported(t *testing.T) {
	var skipped, keys []string
	h := Handler{
		Object: func(o *Object) error {
			keys = append(keys, fmt.Sprintf("%s=%s@%d", o.Key, o.Str, o.ExpireMS))
			return nil
		},
		Unsupported: func(e *UnsupportedError) error {
			skipped = append(skipped, e.Name+" "+e.Key)
			return nil
		},
	}
	if err := Read(bytes.NewReader(unsupportedFile()), h); err != nil {
		t.Fatal(err)
	}
	if want := []string{"a=v@0", "b=v@0", "c=v@0"}; !slices.Equal(keys, want) {
		t.Errorf("keys %v, want %v", keys, want)
	}
	if want := []string{"function library ", "module data ", "module value m1", "module value m"}; !slices.Equal(skipped, want) {
		t.Errorf("skipped %q, want %q", skipped, want)
	}

	// What cannot be walked over is refused all the same, and so is what the
	// handler does not want to lose.
	var u *UnsupportedError
	if err := Read(bytes.NewReader(seal(10, object(encModulePre, "m", nil))), h); !errors.As(err, &u) || u.Key != "m" {
		t.Errorf("a module's value of before: %v", err)
	}
	no := errors.New("no")
	h.Unsupported = func(*UnsupportedError) error { return no }
	if err := Read(bytes.NewReader(unsupportedFile()), h); !errors.Is(err, no) {
		t.Errorf("refused: %v", err)
	}
}

// TestSkipDamaged cuts and alters the file everywhere: an error or not, but no
// panic, and none that is not told.
func TestSkipDamaged(t *testing.T) {
	whole := unsupportedFile()
	h := Handler{Unsupported: func(*UnsupportedError) error { return nil }}
	for i := range whole {
		if err := Read(bytes.NewReader(whole[:i]), h); err == nil {
			t.Errorf("cut at %d it is read", i)
		}
		for _, flip := range []byte{1, 0x40, 0x80, 0xff} {
			b := slices.Clone(whole)
			b[i] ^= flip
			if err := Read(bytes.NewReader(b), h); err == nil {
				t.Errorf("byte %d altered by %x: it is read", i, flip)
			}
		}
	}
}

// TestRest: what follows the end mark is handed on to the last byte, however
// the bytes come.
func TestRest(t *testing.T) {
	tail := strings.Repeat("*1\r\n$4\r\nPING\r\n", 20000)
	file := seal(10, object(encString, "k", appendString(nil, []byte("v"))))
	var got []byte
	h := Handler{Rest: func(r io.Reader) (err error) {
		got, err = io.ReadAll(r)
		return err
	}}
	if err := Read(strings.NewReader(string(file)+tail), h); err != nil || string(got) != tail {
		t.Errorf("%v; %d bytes, want %d", err, len(got), len(tail))
	}
	if err := Read(bytes.NewReader(file), h); err != nil || len(got) != 0 {
		t.Errorf("nothing follows: %v, %d bytes", err, len(got))
	}
	file[len(file)-1] ^= 1
	if err := Read(strings.NewReader(string(file)+tail), Handler{Rest: func(io.Reader) error { t.Error("behind a wrong checksum"); return nil }}); err == nil {
		t.Error("a wrong checksum is accepted")
	}
}
