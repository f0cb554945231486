// Package option holds the types of values that the configuration of an
// official plugin is written in: "30s", "16mb". It refuses to know what they
// configure.
package option

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/docker/go-units"
)

// Duration is a time.Duration that is written as a string: "30s".
type Duration time.Duration

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("%s is not a duration; want a string as in \"30s\"", b)
	}
	v, err := time.ParseDuration(s)
	if err != nil || v <= 0 {
		return fmt.Errorf("%q is not a duration above 0; want one as in \"30s\"", s)
	}
	*d = Duration(v)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// Or is d, or def when d was not set.
func (d Duration) Or(def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}

// Size is a number of bytes: a number, or a string in powers of 1024 ("16mb").
type Size int64

// UnmarshalJSON implements json.Unmarshaler.
func (z *Size) UnmarshalJSON(b []byte) error {
	var n int64
	if err := json.Unmarshal(b, &n); err != nil {
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return fmt.Errorf("%s is not a size; want bytes, or a string as in \"16mb\"", b)
		}
		if n, err = units.RAMInBytes(s); err != nil {
			return fmt.Errorf("%q is not a size; want bytes, or a string as in \"16mb\"", s)
		}
	}
	if n <= 0 {
		return fmt.Errorf("a size of %d; want one above 0", n)
	}
	*z = Size(n)
	return nil
}
