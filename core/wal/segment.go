package wal

import (
	"bufio"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path"

	"github.com/spillwaydb/spillway/core/vfs"
)

const (
	fileMode = 0o600
	dirMode  = 0o700
)

// errLost is what a Commit gets for appends that were dropped when the log
// failed, after it has been re-established without them.
var errLost = errors.New("the log failed before this was written; it is safe only once the checkpoint that re-established the log is committed")

// segment is the file that is written to. It belongs to the leader, except that
// file and path are replaced, and file fsynced, under logFile.syncMu.
type segment struct {
	file   vfs.File
	path   string
	idSum  uint32
	size   int64
	head   int64  // of size: its header
	db     int    // that the file has selected, -1: unknown
	seq    uint64 // of its last block, or of the last one before it
	base   uint64 // seq before its first block; 0 if it had blocks when opened
	marked uint64 // the file says that blocks up to this one are durable
	aside  bool   // nobody waits for what is written, see vfs.Aside
}

func createSegment(fs vfs.FS, name string, ts int64) (id string, err error) {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	n := binary.BigEndian.Uint64(random[:])
	return formatID(n), createSegmentAs(fs, name, n, ts)
}

func createSegmentAs(fs vfs.FS, name string, n uint64, ts int64) error {
	dir := path.Dir(name)
	if err := vfs.MkdirAllSync(fs, dir, dirMode); err != nil {
		return fmt.Errorf("create log segment %s: %w", name, err)
	}
	f, err := fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return fmt.Errorf("create log segment: %w", err)
	}
	_, err = vfs.WriteAside(f, segmentHeader(n, ts))
	if err == nil {
		err = vfs.SyncAside(f)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = fs.SyncDir(dir)
	}
	if err != nil {
		_ = fs.Remove(name)
		return fmt.Errorf("create log segment %s: %w", name, err)
	}
	return nil
}

// open makes s the segment at name, to be written to at its end, behind block
// seq.
func (s *segment) open(fs vfs.FS, name string, seq uint64) error {
	id, header, err := readID(fs, name)
	if err != nil {
		return err
	}
	f, err := fs.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return fmt.Errorf("open log segment: %w", err)
	}
	st, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return fmt.Errorf("open log segment %s: %w", name, err)
	}
	s.file, s.path, s.idSum, s.size, s.db = f, name, segmentSum(id), st.Size(), -1
	s.head = int64(header)
	s.startAfter(seq)
	return nil
}

// startAfter says that block seq is the last one before those to come.
func (s *segment) startAfter(seq uint64) {
	s.seq, s.marked, s.base = seq, seq, 0
	if s.size <= s.head {
		s.base = seq
	}
}

// readID reads a segment's header and returns the id and the header's length.
func readID(fs vfs.FS, name string) (id uint64, n int, err error) {
	f, err := fs.OpenFile(name, os.O_RDONLY, 0)
	if err != nil {
		return 0, 0, fmt.Errorf("open log segment: %w", err)
	}
	defer f.Close()
	return readHeader(bufio.NewReaderSize(f, maxAnnotation), name)
}

func readHeader(r *bufio.Reader, name string) (id uint64, n int, err error) {
	id, _, n, err = readHeaderTime(r, name)
	return id, n, err
}

// readHeaderTime is readHeader that tells when the segment was made, too.
func readHeaderTime(r *bufio.Reader, name string) (id uint64, ts int64, n int, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return 0, 0, 0, fmt.Errorf("read log segment %s: %w", name, err)
	}
	id, ts, ok := parseHeader(line)
	if !ok {
		return 0, 0, 0, &CorruptError{Path: name, Reason: "it does not begin with the line of a log segment of this version"}
	}
	return id, ts, len(line), nil
}

// writeBlock writes a block, with its line and the SELECT that it takes before
// it, in one write, and returns how many bytes that was. durable is the last
// block that has been fsynced.
func (s *segment) writeBlock(b *RawBlock, durable uint64) (int64, error) {
	begin := blockRoom
	if len(b.Data) > 0 && s.db != b.DB {
		var room [selectRoom]byte
		sel := appendSelect(room[:0], b.DB)
		begin -= len(sel)
		copy(b.room[begin:], sel)
	}
	said := durable
	if said <= s.base {
		said = 0 // durable blocks of earlier segments say nothing about this one
	}
	var room [headRoom]byte
	line := appendBlockLine(room[:0], s.idSum, b.Seq, b.TimeMS, said, b.room[begin:])
	begin -= len(line)
	copy(b.room[begin:], line)
	if err := s.write(b.room[begin:]); err != nil {
		return 0, err
	}
	if len(b.Data) > 0 {
		s.db = b.LastDB
	}
	s.seq = b.Seq
	s.marked = durable
	return int64(len(b.room) - begin), nil
}

// writeMark writes that blocks up to durable are.
func (s *segment) writeMark(durable uint64) error {
	var room [headRoom]byte
	if err := s.write(appendMark(room[:0], s.idSum, durable)); err != nil {
		return err
	}
	s.marked = durable
	return nil
}

func (s *segment) write(b []byte) error {
	var n int
	var err error
	if s.aside {
		n, err = vfs.WriteAside(s.file, b)
	} else {
		n, err = s.file.Write(b)
	}
	s.size += int64(n)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	return err
}
