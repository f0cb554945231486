package session

import (
	"bufio"
	"bytes"
	"context"
	"errors"

	"github.com/spillwaydb/spillway/core/command"
	"github.com/spillwaydb/spillway/core/resp"
)

// Do is DoContext without a context: a blocked command is waited for as long as it
// takes.
func (s *Session) Do(args ...string) (resp.Value, error) {
	return s.DoContext(context.Background(), args...)
}

// DoContext runs one command to its end, durability included, and returns its
// reply. When ctx ends while the command is blocked, it is given up, has changed
// nothing, and the error is the context's. A command that executes is not cut short.
//
// An error reply is a value like any other (see resp.Value.Err); the error is for
// commands that cannot be run at all. It is the call of embedded programs.
func (s *Session) DoContext(ctx context.Context, args ...string) (resp.Value, error) {
	if len(args) == 0 {
		return resp.Value{}, errors.New("session: a command needs a name")
	}
	words := make([][]byte, len(args))
	for i, a := range args {
		words[i] = []byte(a)
	}
	var out resp.Writer
	outcome := s.Run(words, &out)
	for outcome == command.Blocked {
		s.Finish(&out)
		if err := s.wait(ctx); err != nil {
			return resp.Value{}, err
		}
		outcome = s.Resume(&out)
	}
	s.Finish(&out)
	if len(out.Buf) == 0 {
		return resp.Value{}, nil // CLIENT REPLY OFF
	}
	v, err := resp.ReadReply(bufio.NewReader(bytes.NewReader(out.Buf)))
	if ctx.Err() != nil && err == nil && v.Kind == resp.KindError && v.Text() == errUnblocked {
		return resp.Value{}, context.Cause(ctx)
	}
	return v, err
}
