package host

import (
	"errors"
	"fmt"

	"github.com/spillwaydb/spillway/plugins/internal/wire"
)

// Error says which plugin did what. Its cause, if there is one, is wrapped.
type Error struct {
	// Plugin is the name in the configuration.
	Plugin string
	// Err is what it did.
	Err error
}

// Error implements error: `plugin "blob": exited with status 2 …`.
func (e *Error) Error() string { return fmt.Sprintf("plugin %q: %v", e.Plugin, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// errClosed is what uses of a plugin fail with after its end.
var errClosed = errors.New("the host has ended it")

// errorf names the plugin once.
func (p *Plugin) errorf(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	for _, a := range args {
		var e *Error
		if cause, ok := a.(error); ok && errors.As(cause, &e) && e.Plugin == p.spec.Name {
			return err
		}
	}
	return &Error{Plugin: p.spec.Name, Err: err}
}

// cleaned is an error whose text has lost its secrets.
type cleaned struct {
	text string
	err  error
}

func (c *cleaned) Error() string { return c.text }
func (c *cleaned) Unwrap() error { return c.err }

// clean takes the operator's secrets out of an error's text.
func (p *Plugin) clean(err error) error {
	text := p.redact.clean(wire.Clean(err.Error(), 4<<10))
	if text == err.Error() {
		return err
	}
	return &cleaned{text: text, err: err}
}
