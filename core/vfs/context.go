package vfs

import (
	"context"
	"io"
)

// ContextReader returns a reader of src that fails with the context's cause once
// ctx has ended. It is asked before every read: a read that has begun is not
// broken off.
func ContextReader(ctx context.Context, src io.Reader) io.Reader {
	return &contextReader{ctx: ctx, src: src}
}

type contextReader struct {
	ctx context.Context
	src io.Reader
}

func (r *contextReader) Read(b []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, context.Cause(r.ctx)
	}
	return r.src.Read(b)
}
