package param

import (
	"maps"
	"strconv"
	"sync/atomic"
	"time"
)

const (
	yes = "yes"
	no  = "no"
)

func yesNo(b bool) string {
	if b {
		return yes
	}
	return no
}

// Func is a Var made of two functions. One whose Put is nil is only shown.
type Func struct {
	Get func() string
	Put func(text string) error
}

var _ Var = Func{}

// String implements Var.
func (f Func) String() string { return f.Get() }

// Set implements Var.
func (f Func) Set(text string) error { return f.Put(text) }

// Const is the Var of a value that never changes.
func Const(text string) Var { return Func{Get: func() string { return text }} }

// BoolVar keeps a [Bool].
func BoolVar(p *bool) Var {
	return Func{
		Get: func() string { return yesNo(*p) },
		Put: func(text string) error { *p = text == yes; return nil },
	}
}

// NotVar keeps the opposite of a [Bool].
func NotVar(p *bool) Var {
	return Func{
		Get: func() string { return yesNo(!*p) },
		Put: func(text string) error { *p = text != yes; return nil },
	}
}

// AtomicBoolVar keeps a [Bool].
func AtomicBoolVar(p *atomic.Bool) Var {
	return Func{
		Get: func() string { return yesNo(p.Load()) },
		Put: func(text string) error { p.Store(text == yes); return nil },
	}
}

// IntVar keeps an [Int] or a [Memory].
func IntVar[T ~int | ~int64](p *T) Var {
	return IntFunc(func() int64 { return int64(*p) }, func(n int64) { *p = T(n) })
}

// NegativeVar keeps an [Int] or a [Memory] in a field whose zero stands for a
// default: what is asked for as 0 is -1 there.
func NegativeVar[T ~int | ~int64](p *T) Var {
	return IntFunc(func() int64 { return max(int64(*p), 0) }, func(n int64) {
		if *p = T(n); n == 0 {
			*p = -1
		}
	})
}

// AtomicIntVar keeps an [Int] or a [Memory].
func AtomicIntVar(p *atomic.Int64) Var { return IntFunc(p.Load, p.Store) }

// IntFunc is the Var of an [Int] or a [Memory] made of two functions.
func IntFunc(get func() int64, put func(int64)) Var {
	return Func{
		Get: func() string { return strconv.FormatInt(get(), 10) },
		Put: func(text string) error {
			n, err := strconv.ParseInt(text, 10, 64)
			if err == nil {
				put(n)
			}
			return err
		},
	}
}

// TextVar keeps a [Text] or a [OneOf].
func TextVar(p *string) Var {
	return Func{
		Get: func() string { return *p },
		Put: func(text string) error { *p = text; return nil },
	}
}

// AtomicTextVar is TextVar for a value that is read without the lock of the table.
func AtomicTextVar(p *atomic.Pointer[string]) Var {
	return Func{
		Get: func() string { return *p.Load() },
		Put: func(text string) error { p.Store(&text); return nil },
	}
}

// DurationVar keeps a [Duration], to the fraction that plugins.hcl may give.
func DurationVar(p *time.Duration, unit time.Duration) Var {
	return DurationFunc(unit, func() time.Duration { return *p }, func(d time.Duration) { *p = d })
}

// DurationFunc is DurationVar made of two functions.
func DurationFunc(unit time.Duration, get func() time.Duration, put func(time.Duration)) Var {
	return Func{
		Get: func() string { return formatUnits(get(), unit) },
		Put: func(text string) error {
			d, err := parseUnits(text, unit)
			if err == nil {
				put(d)
			}
			return err
		},
	}
}

// Values keep, by name, those parameters of a struct of options that have no
// field there.
type Values map[string]string

// Var is where v keeps p.
func (v *Values) Var(p *Param) Var {
	return Func{
		Get: func() string {
			if text, ok := (*v)[p.Name]; ok {
				return text
			}
			return p.Default
		},
		Put: func(text string) error {
			fresh := maps.Clone(*v) // the options may have been copied
			if fresh == nil {
				fresh = make(Values)
			}
			fresh[p.Name] = text
			*v = fresh
			return nil
		},
	}
}
