// Package middleware is what the daemon puts around stages and sinks, the same
// around those of plugins and those that are built in:
//
//	middleware.Stage(s, middleware.Count(&n), middleware.Log(log), middleware.Retry(policy), middleware.Deadline(d))
//
// The first interceptor is the outermost. Each sees every call of the stage or
// the sink as a Call, and what passes through it.
//
// It refuses to look into the bytes, and to repeat what is not safe to repeat:
// a call that has read or written anything is never made again, the whole job
// is.
package middleware
