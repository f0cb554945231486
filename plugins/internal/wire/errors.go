package wire

import (
	"context"
	"errors"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/spillwaydb/spillway/core/sink"
	pluginpb "github.com/spillwaydb/spillway/plugins/proto"
)

// maxText bounds the text of an error that crosses the boundary.
const maxText = 4 << 10

// classes are what errors.Is can find on the other side, and the status code a
// plugin without Failure details says it by. The first that fits gives the
// code.
var classes = []struct {
	class pluginpb.Failure_Class
	err   error
	code  codes.Code
}{
	{pluginpb.Failure_CLASS_CORRUPT, sink.ErrCorrupt, codes.DataLoss},
	{pluginpb.Failure_CLASS_NOT_EXIST, os.ErrNotExist, codes.NotFound},
	{pluginpb.Failure_CLASS_EXIST, os.ErrExist, codes.AlreadyExists},
	{pluginpb.Failure_CLASS_EARLY, sink.ErrEarly, codes.Aborted},
	{pluginpb.Failure_CLASS_CANCELED, context.Canceled, codes.Canceled},
	{pluginpb.Failure_CLASS_DEADLINE, context.DeadlineExceeded, codes.DeadlineExceeded},
	{pluginpb.Failure_CLASS_PERMANENT, sink.ErrPermanent, codes.FailedPrecondition},
	{pluginpb.Failure_CLASS_TRANSIENT, sink.ErrTransient, codes.Unavailable},
}

// permanentCodes mean, from a plugin that attaches no details, that trying
// again is pointless.
var permanentCodes = map[codes.Code]bool{
	codes.InvalidArgument: true, codes.PermissionDenied: true, codes.Unauthenticated: true,
	codes.Unimplemented: true, codes.FailedPrecondition: true, codes.OutOfRange: true,
}

// Status is what a plugin answers for a component's error.
func Status(err error) error {
	if err == nil {
		return nil
	}
	var f pluginpb.Failure
	code := codes.Unknown
	for _, c := range classes {
		if errors.Is(err, c.err) {
			f.Classes = append(f.Classes, c.class)
			if code == codes.Unknown {
				code = c.code
			}
		}
	}
	st := status.New(code, Clean(err.Error(), maxText))
	if d, derr := st.WithDetails(&f); derr == nil {
		st = d
	}
	return st.Err()
}

// failure is an error of the other side: its words, and what errors.Is finds.
type failure struct {
	text     string
	is       []error
	answered bool
}

func (f *failure) Error() string   { return f.text }
func (f *failure) Unwrap() []error { return f.is }

// Answered tells whether the plugin's component said so itself. Such a call is
// not made again: see middleware.Retry.
func (f *failure) Answered() bool { return f.answered }

// Failed says what the plugin's component answered with, as an error of this
// side. ok is false when err is not a component's answer but says that the
// call itself failed: the plugin is gone, or does not serve the method.
func Failed(err error) (_ error, ok bool) {
	st, is := status.FromError(err)
	if !is || err == nil {
		return err, false
	}
	f := &failure{text: Clean(st.Message(), maxText)}
	if f.text == "" {
		f.text = "failed with status " + st.Code().String() + " and no message"
	}
	for _, d := range st.Details() {
		m, is := d.(*pluginpb.Failure)
		if !is {
			continue
		}
		for _, c := range classes {
			for _, has := range m.GetClasses() {
				if has == c.class {
					f.is = append(f.is, c.err)
				}
			}
		}
		f.answered = true
		return f, true
	}
	switch st.Code() {
	case codes.Unavailable, codes.Canceled, codes.DeadlineExceeded, codes.Internal:
		// gRPC says these itself, too.
		f.is = []error{sink.ErrTransient}
		return f, false
	case codes.Unimplemented:
		f.is = []error{sink.ErrPermanent}
		return f, false
	}
	for _, c := range classes {
		if c.code == st.Code() {
			f.is = append(f.is, c.err)
		}
	}
	if permanentCodes[st.Code()] && !errors.Is(f, sink.ErrPermanent) {
		f.is = append(f.is, sink.ErrPermanent)
	}
	f.answered = true
	return f, true
}

// Clean makes text of a stranger fit for a log line or a terminal: valid, on
// one line, without control characters, of at most n bytes.
func Clean(s string, n int) string {
	s = strings.TrimSpace(s)
	cutOff := len(s) > n
	if cutOff {
		s = strings.ToValidUTF8(s[:n], "")
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
	if cutOff {
		s += "…"
	}
	return s
}
