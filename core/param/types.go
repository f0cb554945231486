package param

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Type is what values a parameter takes.
type Type interface {
	// Parse reads a value as CONFIG SET and flags spell it, and returns it as
	// CONFIG GET does. The error's text is the one of Redis's reply.
	Parse(text string) (string, error)
	// Want says to people what a value is, as in "yes or no".
	Want() string
}

// FileType is a [Type] that plugins.hcl may also spell in another way.
type FileType interface {
	Type
	// ParseFile is Parse of what is a string in the file.
	ParseFile(text string) (string, error)
}

// Error is a refusal of which more can be said than Redis's reply does.
type Error struct {
	Reply  string // to CONFIG SET
	Detail string // to who writes a file or a command line
}

// Error implements error.
func (e *Error) Error() string { return e.Reply }

// Bool is yes or no; true or false in plugins.hcl.
type Bool struct{}

// Parse implements Type.
func (Bool) Parse(text string) (string, error) {
	switch v := strings.ToLower(text); v {
	case yes, no:
		return v, nil
	}
	return "", errors.New("argument must be 'yes' or 'no'")
}

// Want implements Type.
func (Bool) Want() string { return "yes or no" }

// Int is a whole number from Min to Max.
type Int struct{ Min, Max int64 }

// Parse implements Type.
func (t Int) Parse(text string) (string, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return "", errors.New("argument couldn't be parsed into an integer")
	}
	return strconv.FormatInt(n, 10), between(n, t.Min, t.Max)
}

// Want implements Type.
func (t Int) Want() string {
	if t.Max == math.MaxInt64 {
		return fmt.Sprintf("%d or more", t.Min)
	}
	return fmt.Sprintf("%d to %d", t.Min, t.Max)
}

// Memory is a size in bytes, Min at least, as [ParseMemory] reads it.
type Memory struct{ Min int64 }

// Parse implements Type.
func (t Memory) Parse(text string) (string, error) {
	n, err := ParseMemory(text)
	if err != nil {
		return "", err
	}
	return strconv.FormatInt(n, 10), between(n, t.Min, math.MaxInt64)
}

// Want implements Type.
func (t Memory) Want() string {
	if t.Min > 0 {
		return "a size, as in 512mb, of " + FormatMemory(t.Min) + " at least"
	}
	return "a size, as in 512mb"
}

// MemoryShare is a size in bytes, or a percentage of the parameter Of.
type MemoryShare struct{ Of string }

// Parse implements Type.
func (MemoryShare) Parse(text string) (string, error) {
	p, percent := strings.CutSuffix(text, "%")
	if !percent {
		v, err := Memory{}.Parse(text)
		if err != nil {
			err = errors.New("argument must be a memory or percent value") // Redis's wording
		}
		return v, err
	}
	n, err := strconv.ParseInt(p, 10, 64)
	switch {
	case err != nil || n < 0:
		return "", errors.New("argument must be a memory or percent value") // Redis's wording
	case n > 100:
		return "", errors.New("percentage argument must be less or equal to 100") // Redis's wording
	case n == 0:
		return "0", nil
	}
	return strconv.FormatInt(n, 10) + "%", nil
}

// Want implements Type.
func (t MemoryShare) Want() string {
	return "a size, as in 256mb, or a percentage of " + t.Of + ", as in 5%"
}

// OneOf is one of some words.
type OneOf []string

// Parse implements Type.
func (t OneOf) Parse(text string) (string, error) {
	for _, w := range t {
		if strings.EqualFold(text, w) {
			return w, nil
		}
	}
	return "", errors.New("argument(s) must be one of the following: " + strings.Join(t, ", "))
}

// Want implements Type.
func (t OneOf) Want() string {
	return strings.Join(t[:len(t)-1], ", ") + " or " + t[len(t)-1]
}

// Text is any text.
type Text struct{}

// Parse implements Type.
func (Text) Parse(text string) (string, error) { return text, nil }

// Want implements Type.
func (Text) Want() string { return "any text" }

// Duration is a span of time from Min to Max units, which Redis counts in whole
// ones. plugins.hcl writes it with its unit, as in "90s", and may be finer.
type Duration struct {
	Unit     time.Duration // a second, a millisecond or a microsecond
	Min, Max int64
}

// Parse implements Type.
func (t Duration) Parse(text string) (string, error) { return Int{t.Min, t.Max}.Parse(text) }

// ParseFile implements FileType.
func (t Duration) ParseFile(text string) (string, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Duration(t.Min)*t.Unit || d > time.Duration(t.Max)*t.Unit {
		return "", fmt.Errorf("%q is not a duration of %d to %d %ss", text, t.Min, t.Max, units[t.Unit])
	}
	return formatUnits(d, t.Unit), nil
}

// Want implements Type.
func (t Duration) Want() string { return fmt.Sprintf("%d to %d %ss", t.Min, t.Max, units[t.Unit]) }

var units = map[time.Duration]string{time.Second: "second", time.Millisecond: "millisecond", time.Microsecond: "microsecond"}

// formatUnits is how many units d has, exactly: "90", "1.5".
func formatUnits(d, unit time.Duration) string {
	whole := strconv.FormatInt(int64(d/unit), 10)
	if d%unit == 0 {
		return whole
	}
	fraction := fmt.Sprintf("%0*d", len(strconv.FormatInt(int64(unit), 10))-1, d%unit)
	return whole + "." + strings.TrimRight(fraction, "0")
}

// parseUnits is the reverse of formatUnits.
func parseUnits(text string, unit time.Duration) (time.Duration, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return 0, err
	}
	d := time.Duration(n) * unit
	for _, c := range fraction {
		unit /= 10
		d += time.Duration(c-'0') * unit
	}
	return d, nil
}

// List is several words: a list of strings in plugins.hcl, separated by spaces
// elsewhere.
type List struct {
	// Name and Of say what it is: "save points", "pairs of seconds and changes".
	Name, Of string
	// Example are two items.
	Example [2]string
	// Reply is what CONFIG SET says of a wrong one.
	Reply string
	// Check returns the list as CONFIG GET shows it, or what is wrong; an *Error
	// has a reply of its own.
	Check func(text string) (string, error)
}

// Parse implements Type.
func (t List) Parse(text string) (string, error) {
	v, err := t.Check(text)
	if e := (*Error)(nil); errors.As(err, &e) {
		return "", e
	}
	if err != nil {
		return "", &Error{Reply: t.Reply, Detail: err.Error()}
	}
	return v, nil
}

// Want implements Type.
func (t List) Want() string {
	return fmt.Sprintf("%s, as in %q", t.Of, t.Example[0]+" "+t.Example[1])
}

func between(n, lo, hi int64) error {
	if n < lo || n > hi {
		return fmt.Errorf("argument must be between %d and %d inclusive", lo, hi)
	}
	return nil
}
