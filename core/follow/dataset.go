package follow

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// dataset is where the dataset ends that a master is sending.
type dataset struct {
	left int64  // bytes of it, -1 when it ends in a mark
	mark []byte // nil behind it
}

// announce reads the line that precedes a dataset.
func (d *dataset) announce(line string) (err error) {
	const eof, markSize = "$EOF:", 40
	switch {
	case strings.HasPrefix(line, "-"):
		return &RefusedError{Command: "PSYNC", Reply: line[1:]}
	case strings.HasPrefix(line, eof) && len(line) == len(eof)+markSize:
		d.left, d.mark = -1, []byte(line[len(eof):])
		return nil
	case strings.HasPrefix(line, "$"):
		d.left, err = strconv.ParseInt(line[1:], 10, 63)
		if err == nil && d.left > 0 {
			return nil
		}
	}
	return fmt.Errorf("it answers PSYNC with %.80q, not with its dataset", line)
}

// Size is how long the dataset is that Sync has announced, -1 where nobody knows.
func (l *Link) Size() int64 { return l.left }

// Read implements io.Reader: the dataset, and then io.EOF.
func (l *Link) Read(b []byte) (int, error) {
	if err := l.conn.SetReadDeadline(l.source.Clock.Now().Add(patience)); err != nil {
		return 0, err
	}
	if l.left >= 0 {
		if l.left == 0 {
			return 0, io.EOF
		}
		n, err := l.in.Read(b[:min(int64(len(b)), l.left)])
		l.left -= int64(n)
		return n, l.early(err)
	}
	return l.readToMark(b)
}

// readToMark hands out what cannot be the beginning of the mark.
func (l *Link) readToMark(b []byte) (int, error) {
	if len(l.mark) == 0 {
		return 0, io.EOF
	}
	ahead, err := l.in.Peek(len(l.mark))
	if err != nil {
		return 0, l.early(err)
	}
	if bytes.Equal(ahead, l.mark) {
		_, err := l.in.Discard(len(l.mark)) // commands follow
		l.mark = nil
		if err == nil {
			err = io.EOF
		}
		return 0, err
	}
	ahead, _ = l.in.Peek(l.in.Buffered())
	n := len(ahead) - len(l.mark) + 1
	if i := bytes.Index(ahead, l.mark); i >= 0 {
		n = i
	}
	return l.in.Read(b[:min(len(b), n)])
}

// early is an end before the dataset's.
func (l *Link) early(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("redis at %s broke off its dataset: %w", l.source.Address, err)
}
