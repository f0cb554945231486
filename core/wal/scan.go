package wal

import (
	"bufio"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"time"

	"github.com/spillwaydb/spillway/core/vfs"
)

// Span is what a segment holds, from its first block to its last.
type Span struct {
	ID       string    // what the segment calls itself
	Created  time.Time // when it was made
	Blocks   int64
	FirstSeq uint64 // 0 if there is no block
	LastSeq  uint64
	First    time.Time // when the first block was written; zero if there is none
	Last     time.Time
	Size     int64 // of the file
}

// Scan checks every byte of a segment that is finished, without looking into
// the commands, and says what it holds. id is what Create returned for it; with
// "" the segment's own word is taken. Anything but whole blocks and marks, a
// torn tail too, is a *CorruptError. It changes nothing, and costs one
// sequential read.
func Scan(fs vfs.FS, path, id string) (Span, error) {
	f, err := fs.OpenFile(path, os.O_RDONLY, 0)
	if err != nil {
		return Span{}, fmt.Errorf("scan log segment: %w", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return Span{}, fmt.Errorf("scan log segment %s: %w", path, err)
	}
	r := bufio.NewReaderSize(f, int(min(max(st.Size(), 2*maxAnnotation), readBuffer)))
	n, ts, header, err := readHeaderTime(r, path)
	if err != nil {
		return Span{}, err
	}
	s := Span{ID: formatID(n), Created: time.UnixMilli(ts).UTC(), Size: st.Size()}
	corrupt := func(at int64, format string, args ...any) error {
		return &CorruptError{Path: path, Offset: at, Reason: fmt.Sprintf(format, args...)}
	}
	if id != "" && id != s.ID {
		return s, corrupt(0, "it is segment %s of a log, and %s was expected", s.ID, id)
	}
	idSum, buf := segmentSum(n), make([]byte, 64<<10)
	for at := int64(header); at < s.Size; {
		line, err := r.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return s, fmt.Errorf("scan log segment %s at %d: %w", path, at, err)
		}
		a, ok := parseAnnotation(line)
		if !ok || a.len > s.Size-at-int64(a.lineLen) {
			return s, corrupt(at, "not a whole block")
		}
		sum := crc32.Update(idSum, castagnoli, a.summed)
		for left := a.len; left > 0; {
			b := buf[:min(left, int64(len(buf)))]
			if _, err := io.ReadFull(r, b); err != nil {
				return s, fmt.Errorf("scan log segment %s at %d: %w", path, at, err)
			}
			sum = crc32.Update(sum, castagnoli, b)
			left -= int64(len(b))
		}
		switch {
		case sum != a.crc:
			return s, corrupt(at, "the checksum does not match")
		case a.mark:
		case s.Blocks > 0 && a.seq != s.LastSeq+1:
			return s, corrupt(at, "block %d follows block %d", a.seq, s.LastSeq)
		default:
			when := time.UnixMilli(a.ts).UTC()
			if s.Blocks == 0 {
				s.FirstSeq, s.First = a.seq, when
			}
			s.Blocks++
			s.LastSeq, s.Last = a.seq, when
		}
		at += int64(a.lineLen) + a.len
	}
	return s, nil
}
