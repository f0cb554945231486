package sink

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrPermanent is wrapped by failures that trying again will not mend:
	// refused credentials, a name already taken, bytes that are damaged.
	ErrPermanent = errors.New("permanent failure")
	// ErrTransient is wrapped by failures that may pass: a timeout, a broken
	// connection.
	ErrTransient = errors.New("transient failure")
	// ErrCorrupt is wrapped when stored bytes are not the ones that were
	// written.
	ErrCorrupt = errors.New("stored bytes are damaged")
	// ErrEarly is wrapped when a stage or a sink returned nil before it had
	// read its input to the end.
	ErrEarly = errors.New("returned before the end of its input")
	// ErrStuck is wrapped when a stage or a sink did not return although it
	// was cancelled, and its call was left behind.
	ErrStuck = errors.New("did not return when cancelled")
	// ErrNoKey is wrapped by a stage's Decode that lacks the key: the bytes may
	// well be whole.
	ErrNoKey = errors.New("the key to read it is not configured")
	// ErrUnknownStage is wrapped when bytes went through a stage that this
	// process does not have.
	ErrUnknownStage = errors.New("unknown stage")
)

// classed marks an error with a class without changing its text.
type classed struct {
	error
	class error
}

func (c classed) Unwrap() []error { return []error{c.error, c.class} }

// Permanent marks err as one that trying again will not mend. The text stays;
// errors.Is finds ErrPermanent. nil stays nil.
func Permanent(err error) error { return withClass(err, ErrPermanent) }

// Transient marks err as one that may pass. The text stays; errors.Is finds
// ErrTransient. nil stays nil.
func Transient(err error) error { return withClass(err, ErrTransient) }

func withClass(err, class error) error {
	if err == nil || errors.Is(err, class) {
		return err
	}
	return classed{err, class}
}

// IsPermanent tells whether trying again is pointless. What is not classed is
// taken to be transient, and so is a deadline.
func IsPermanent(err error) bool {
	return errors.Is(err, ErrPermanent) && !errors.Is(err, context.DeadlineExceeded)
}

// OptionError says which option a stage or a sink refuses, so that a file of
// configuration can be shown where it gives it.
type OptionError struct {
	Option string // its name in HCL and JSON
	Err    error  // the whole of what there is to say
}

// Error implements error: the text of Err.
func (e *OptionError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *OptionError) Unwrap() error { return e.Err }

// BadOption marks err as the refusal of an option. The text stays; nil stays nil.
func BadOption(option string, err error) error {
	if err == nil {
		return nil
	}
	return &OptionError{option, err}
}

// Error says which member of a pipeline failed at what, and what to do.
type Error struct {
	// Op is what was being done: "encode", "put", "publish", "verify" …
	Op string
	// Path is the part or the file it was done to.
	Path string
	// Stage or Sink names who failed; both may be empty.
	Stage, Sink string
	// Err is the cause.
	Err error
	// Hint says what to do about it; may be empty.
	Hint string
}

// Error implements error: "put shard-0001.rdb: sink offsite: disk full; free
// some space".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Path != "" {
		b.WriteString(" " + e.Path)
	}
	if e.Stage != "" {
		b.WriteString(": stage " + e.Stage)
	}
	if e.Sink != "" {
		b.WriteString(": sink " + e.Sink)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	}
	if e.Hint != "" {
		b.WriteString("; " + e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CorruptError says where stored bytes are not the ones that were written. It wraps
// ErrCorrupt.
type CorruptError struct {
	// Offset is where the damage begins. With End it is somewhere from Offset to
	// there, and that is all that is known.
	Offset, End int64
	// Decoded: the offset is one of the bytes as they were before the stages.
	Decoded bool
	// Err is what is wrong.
	Err error
}

// Error implements error: "stored bytes are damaged at offset 7: it ends there".
func (e *CorruptError) Error() string {
	where := fmt.Sprintf(" at offset %d", e.Offset)
	if e.End > e.Offset {
		where = fmt.Sprintf(", somewhere from offset %d to %d", e.Offset, e.End)
	}
	if e.Decoded {
		where += " of the decoded bytes"
	}
	return ErrCorrupt.Error() + where + ": " + e.Err.Error()
}

// Unwrap returns ErrCorrupt and the cause.
func (e *CorruptError) Unwrap() []error { return []error{ErrCorrupt, e.Err} }

// sinkError says that a sink failed at op. A sink that has said so itself is not
// repeated, but called by the name the pipeline knows it by.
func sinkError(op, path, sink string, err error) error {
	if e, ok := err.(*Error); ok && e.Stage == "" && (e.Op == op || e.Op == "open") { //nolint:errorlint // one that is wrapped says more
		c := *e
		c.Sink = sink
		return &c
	}
	return &Error{Op: op, Path: path, Sink: sink, Err: err}
}
