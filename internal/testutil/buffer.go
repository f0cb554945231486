package testutil

import (
	"bytes"
	"strings"
	"sync"
)

// Buffer is a buffer that may be read while it is written: what an engine or a
// process logs, for instance. The zero value is empty.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer; it does not fail.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String is all that was written since the last Reset.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// Reset empties the buffer.
func (b *Buffer) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.b.Reset()
}

// Count is how often text has been written since the last Reset.
func (b *Buffer) Count(text string) int { return strings.Count(b.String(), text) }
