package param

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// TestTypes: what each type takes, how CONFIG GET shows it, and what Redis
// replies to the rest.
func TestTypes(t *testing.T) {
	t.Parallel()
	const (
		integer = "argument couldn't be parsed into an integer"
		memory  = "argument must be a memory value"
		share   = "argument must be a memory or percent value"
	)
	list := List{Reply: "Invalid", Check: func(text string) (string, error) {
		if text == "bad" {
			return "", errors.New("the detail")
		}
		return strings.Join(strings.Fields(text), " "), nil
	}}
	for _, tt := range []struct {
		typ  Type
		in   string
		want string // or the error
	}{
		{Bool{}, "yes", "yes"},
		{Bool{}, "NO", "no"},
		{Bool{}, "1", "argument must be 'yes' or 'no'"},
		{Int{-1, 9}, "-1", "-1"},
		{Int{-1, 9}, "09", "9"},
		{Int{-1, 9}, "10", "argument must be between -1 and 9 inclusive"},
		{Int{-1, 9}, "x", integer},
		{Int{-1, 9}, "", integer},
		{Int{-1, 9}, "99999999999999999999", integer},
		{Memory{}, "64mb", "67108864"},
		{Memory{}, "1K", "1000"},
		{Memory{}, "0", "0"},
		{Memory{}, "-1", memory},
		{Memory{}, "1.5gb", memory},
		{Memory{}, "9223372036854775807kb", memory},
		{Memory{Min: 1 << 20}, "1mb", "1048576"},
		{Memory{Min: 1 << 20}, "1023kb", "argument must be between 1048576 and 9223372036854775807 inclusive"},
		{MemoryShare{}, "0", "0"},
		{MemoryShare{}, "1mb", "1048576"},
		{MemoryShare{}, "5%", "5%"},
		{MemoryShare{}, "100%", "100%"},
		{MemoryShare{}, "0%", "0"},
		{MemoryShare{}, "101%", "percentage argument must be less or equal to 100"},
		{MemoryShare{}, "-1", share},
		{MemoryShare{}, "x%", share},
		{MemoryShare{}, "5x", share},
		{OneOf{"a", "bc"}, "BC", "bc"},
		{OneOf{"a", "bc"}, "b", "argument(s) must be one of the following: a, bc"},
		{Text{}, "any \x00thing", "any \x00thing"},
		{Duration{Unit: time.Second, Max: 90}, "90", "90"},
		{Duration{Unit: time.Second, Max: 90}, "91", "argument must be between 0 and 90 inclusive"},
		{Duration{Unit: time.Second, Max: 90}, "90s", integer},
		{Duration{Unit: time.Second, Max: 90}, "1.5", integer},
		{list, " a  b ", "a b"},
		{list, "bad", "Invalid"},
	} {
		got, err := tt.typ.Parse(tt.in)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%T %q: %s, want %s", tt.typ, tt.in, got, tt.want)
		}
		if tt.typ.Want() == "" {
			t.Errorf("%T does not say what it wants", tt.typ)
		}
	}
}

// TestDurations: a file may be finer than the unit, and nothing of it is lost on
// the way.
func TestDurations(t *testing.T) {
	t.Parallel()
	typ := Duration{Unit: time.Second, Max: 1000}
	for in, want := range map[string]string{
		"0s": "0", "90s": "90", "2m": "120", "1500ms": "1.5", "50ms": "0.05", "1ns": "0.000000001", "1000s": "1000",
		"1001s": "", "1000.1s": "", "-1s": "", "5": "", "soon": "",
	} {
		text, err := typ.ParseFile(in)
		if text != want || (err == nil) != (want != "") {
			t.Errorf("%s is %q, %v, want %q", in, text, err, want)
		}
		if err != nil {
			continue
		}
		var d time.Duration
		v := DurationVar(&d, typ.Unit)
		if err := v.Set(text); err != nil {
			t.Fatal(err)
		}
		if exact, _ := time.ParseDuration(in); d != exact || v.String() != want {
			t.Errorf("%s is kept as %s, shown as %s", in, d, v)
		}
	}
}

// TestValues: what a copy of options is given is not given to the one it was
// made of.
func TestValues(t *testing.T) {
	t.Parallel()
	p := &Param{Name: "n", Default: "7"}
	var a Values
	if got := a.Var(p).String(); got != "7" {
		t.Errorf("the default is %s", got)
	}
	if err := a.Var(p).Set("8"); err != nil {
		t.Fatal(err)
	}
	b := a
	if err := b.Var(p).Set("9"); err != nil {
		t.Fatal(err)
	}
	if a.Var(p).String() != "8" || b.Var(p).String() != "9" {
		t.Errorf("%v, %v", a, b)
	}
}

// TestFormatMemory: what it says is what ParseMemory reads.
func TestFormatMemory(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 1: "1", 1000: "1000", 1 << 10: "1kb", 64 << 20: "64mb", 1 << 30: "1gb", 3 << 40: "3tb", 1<<20 + 1: "1048577"} {
		got := FormatMemory(n)
		if back, err := ParseMemory(got); got != want || back != n || err != nil {
			t.Errorf("%d is %s, which is %d, %v", n, got, back, err)
		}
	}
}
