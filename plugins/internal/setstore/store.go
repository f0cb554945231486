package setstore

import (
	"context"
	"io"
)

// Object is one stored file.
type Object struct {
	// Bytes is its size.
	Bytes int64 `json:"bytes"`
	// ETag changes with the content, where the store has one.
	ETag string `json:"etag,omitempty"`
	// Check says what confirmed the content after it was put: the name of a
	// checksum that the store computed, or "size".
	Check string `json:"check,omitempty"`
	// Sum is that checksum.
	Sum string `json:"sum,omitempty"`
}

// Dir is a directory that may hold a set.
type Dir struct {
	Name string
	// Version changes with the SET.json in it; "" says that there is none.
	Version string
}

// A Store keeps files under names with slashes. It is used by several
// goroutines. Its errors wrap os.ErrNotExist for what is not there, os.ErrExist
// for what is there already, sink.ErrPermanent for what trying again does not
// mend, and hold no secrets.
type Store interface {
	// Location says in errors where the files are: "s3://bucket/prefix".
	Location() string
	// Put stores src durably. Only the end of src makes the file be there;
	// when src fails or ctx ends, nothing new is to be seen under name.
	Put(ctx context.Context, name string, src io.Reader) (Object, error)
	// PutNew stores a small file durably and atomically. One that is there is
	// left as it is, and is an error.
	PutNew(ctx context.Context, name string, data []byte) error
	// Stat describes a file; Check and Sum are not filled in.
	Stat(ctx context.Context, name string) (Object, error)
	// Open reads a file; ctx bounds the reading too. It returns the size.
	Open(ctx context.Context, name string) (io.ReadCloser, int64, error)
	// Dirs returns the directories in dir, in any order. A dir that is not
	// there has none.
	Dirs(ctx context.Context, dir string) ([]Dir, error)
	// Remove deletes a file durably. One that is not there is a success.
	Remove(ctx context.Context, name string) error
	// RemoveAll deletes every file below dir. A dir that is not there is a
	// success.
	RemoveAll(ctx context.Context, dir string) error
	// Close ends connections.
	Close() error
}

// Leftovers is implemented by stores that keep unfinished uploads apart from
// the files.
type Leftovers interface {
	// Unfinished returns the directories in dir that have unfinished uploads.
	Unfinished(ctx context.Context, dir string) ([]string, error)
	// Discard ends the unfinished uploads below dir.
	Discard(ctx context.Context, dir string) error
}

// Ranger is implemented by stores that can read a part of a file for itself.
type Ranger interface {
	// OpenRange is Open for the n bytes from off on, which the file has to have. It
	// returns the size of all of the file. A store that cannot do so after all wraps
	// errors.ErrUnsupported.
	OpenRange(ctx context.Context, name string, off, n int64) (io.ReadCloser, int64, error)
}
