// Package rootfs is the file tree of an image: entries with owners, the rules
// that decide what of a package goes in, conflict detection, merged /usr, and
// tar streams whose bytes depend on nothing but the content.
//
// A Segment is one package's share of a layer, as tar blocks without parent
// directories and without a trailer. Segments are written once, kept, and
// strung together into layers; the directories of a layer stand before them
// and the trailer after. It reads and writes streams only, never the disk.
package rootfs

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"strings"
	"time"
)

// Type is the kind of an entry.
type Type uint8

// The kinds of entries.
const (
	File Type = iota
	Dir
	Symlink
	Hardlink
	Fifo // a named pipe
)

// Entry is one path of the tree. Mode holds the twelve bits of chmod(2).
type Entry struct {
	Path    string `json:"path"` // clean, relative to the root
	Type    Type   `json:"type"`
	Mode    uint32 `json:"mode"`
	UID     int    `json:"uid,omitempty"`
	GID     int    `json:"gid,omitempty"`
	Size    int64  `json:"size,omitempty"`
	ModTime int64  `json:"mtime"`            // seconds since 1970
	Link    string `json:"link,omitempty"`   // symlink target, or path of the linked file
	SHA256  string `json:"sha256,omitempty"` // of a File, hexadecimal
}

// String describes the entry in one line, without times: the form that tests
// and diffs show.
func (e Entry) String() string {
	switch e.Type {
	case Dir:
		return fmt.Sprintf("dir %04o%s", e.Mode, e.owner())
	case Symlink:
		return "symlink " + e.Link
	case Hardlink:
		return "link " + e.Link
	case Fifo:
		return fmt.Sprintf("pipe %04o%s", e.Mode, e.owner())
	}
	return fmt.Sprintf("file %04o%s %.8s", e.Mode, e.owner(), e.SHA256)
}

func (e Entry) owner() string {
	if e.UID == 0 && e.GID == 0 {
		return ""
	}
	return fmt.Sprintf(" %d:%d", e.UID, e.GID)
}

// Source yields entries one by one; a File's contents are read between two
// calls of Next. After the last entry Next returns io.EOF.
type Source interface {
	Next() (Entry, error)
	io.Reader
}

// header makes the tar header of an entry: numeric owners, no names, whole
// seconds.
func header(e Entry) *tar.Header {
	h := &tar.Header{
		Name: e.Path, Mode: int64(e.Mode), Uid: e.UID, Gid: e.GID,
		ModTime: time.Unix(e.ModTime, 0), Typeflag: tar.TypeReg, Size: e.Size,
	}
	switch e.Type {
	case Dir:
		h.Typeflag, h.Name, h.Size = tar.TypeDir, e.Path+"/", 0
	case Symlink:
		h.Typeflag, h.Linkname, h.Size, h.Mode = tar.TypeSymlink, e.Link, 0, 0o777
	case Hardlink:
		h.Typeflag, h.Linkname, h.Size = tar.TypeLink, e.Link, 0
	case Fifo:
		h.Typeflag, h.Size = tar.TypeFifo, 0
	}
	return h
}

// WriteDirs writes the headers of directories.
func WriteDirs(w io.Writer, dirs []Entry) error {
	t := tar.NewWriter(w)
	for _, d := range dirs {
		if err := t.WriteHeader(header(d)); err != nil {
			return fmt.Errorf("write directory %s: %w", d.Path, err)
		}
	}
	return t.Flush()
}

// WriteTrailer ends a tar stream.
func WriteTrailer(w io.Writer) error {
	_, err := w.Write(make([]byte, 1024))
	return err
}

// Segment describes what WriteSegment wrote.
type Segment struct {
	Owner   string  `json:"owner"`
	Entries []Entry `json:"entries"` // directories too, though they are not in the stream
	Dropped int     `json:"dropped,omitempty"`
	Newest  int64   `json:"newest"` // latest modification time, seconds since 1970
}

// Rules decide what of a source goes into a segment, and where.
type Rules struct {
	// Drop reports paths that are left out.
	Drop func(path string) bool
	// Take is offered every regular file; one it takes is left out, having
	// been read by it.
	Take func(e Entry, body io.Reader) (bool, error)
	// Inspect returns a writer that a kept file is copied to, or nil.
	Inspect func(e Entry) io.Writer
	// Began is told that the next bytes written are a file's contents.
	Began func(e Entry)
	// Add returns files to write after the others.
	Add func() ([]Content, error)
}

// Content is a file held in memory. A zero ModTime becomes the segment's
// newest. A SHA256 that is given is believed.
type Content struct {
	Entry
	Data []byte
}

// WriteSegment copies a source to w under the rules and describes the result.
func WriteSegment(w io.Writer, owner string, src Source, rules Rules) (*Segment, error) {
	s := &segmentWriter{tar: tar.NewWriter(w), segment: &Segment{Owner: owner}, kept: map[string]bool{}, buffer: make([]byte, 64<<10), began: rules.Began}
	for {
		e, err := src.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", owner, err)
		}
		if err := s.copy(e, src, rules); err != nil {
			return nil, fmt.Errorf("package %s: %s: %w", owner, e.Path, err)
		}
	}
	if rules.Add != nil {
		more, err := rules.Add()
		if err != nil {
			return nil, fmt.Errorf("package %s: %w", owner, err)
		}
		for _, c := range more {
			if c.ModTime == 0 {
				c.ModTime = s.segment.Newest
			}
			c.Size = int64(len(c.Data))
			if err := s.write(c.Entry, bytes.NewReader(c.Data)); err != nil {
				return nil, fmt.Errorf("package %s: %s: %w", owner, c.Path, err)
			}
		}
	}
	if err := s.tar.Flush(); err != nil {
		return nil, fmt.Errorf("package %s: %w", owner, err)
	}
	return s.segment, nil
}

// WriteFile writes a segment of one file whose Size and SHA256 the entry says.
// body writes its contents to what w writes to, in a form of its own.
func WriteFile(w io.Writer, owner string, e Entry, body func() error) (*Segment, error) {
	if e.Path != path.Clean(e.Path) || strings.HasPrefix(e.Path, "/") || strings.HasPrefix(e.Path, "..") || strings.Contains("/"+e.Path, "/.wh.") {
		return nil, fmt.Errorf("%s: bad path %q", owner, e.Path)
	}
	if err := tar.NewWriter(w).WriteHeader(header(e)); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", owner, e.Path, err)
	}
	if err := body(); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", owner, e.Path, err)
	}
	if _, err := w.Write(make([]byte, -e.Size&511)); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", owner, e.Path, err)
	}
	return &Segment{Owner: owner, Entries: []Entry{e}, Newest: e.ModTime}, nil
}

type segmentWriter struct {
	tar     *tar.Writer
	segment *Segment
	kept    map[string]bool
	buffer  []byte
	began   func(Entry)
}

func (s *segmentWriter) copy(e Entry, src io.Reader, rules Rules) error {
	e.Path = Canonical(e.Path, e.Type)
	if rules.Drop != nil && rules.Drop(e.Path) {
		s.segment.Dropped++
		return nil
	}
	if rules.Take != nil && e.Type == File {
		if taken, err := rules.Take(e, src); taken || err != nil {
			s.segment.Newest = max(s.segment.Newest, e.ModTime)
			return err
		}
	}
	if e.Type == Hardlink {
		e.Link = Canonical(e.Link, File)
		if !s.kept[e.Link] {
			return fmt.Errorf("it links to %s, which is left out", e.Link)
		}
	}
	if rules.Inspect != nil && e.Type == File {
		if to := rules.Inspect(e); to != nil {
			src = io.TeeReader(src, to)
		}
	}
	return s.write(e, src)
}

func (s *segmentWriter) write(e Entry, body io.Reader) error {
	s.segment.Newest = max(s.segment.Newest, e.ModTime)
	if strings.Contains("/"+e.Path, "/.wh.") {
		return errors.New("a name that begins with .wh. deletes files of lower layers")
	}
	if e.Type == Dir {
		s.segment.Entries = append(s.segment.Entries, e)
		return nil
	}
	if err := s.tar.WriteHeader(header(e)); err != nil {
		return err
	}
	if e.Type == File {
		if s.began != nil {
			s.began(e)
		}
		if err := s.body(&e, body); err != nil {
			return err
		}
	}
	s.kept[e.Path] = true
	s.segment.Entries = append(s.segment.Entries, e)
	return nil
}

// body writes a file's contents, and finds out its digest unless it is known.
func (s *segmentWriter) body(e *Entry, body io.Reader) error {
	var sum hash.Hash
	to := io.Writer(onlyWriter{s.tar})
	if e.SHA256 == "" {
		sum = sha256.New()
		to = io.MultiWriter(s.tar, sum)
	}
	n, err := io.CopyBuffer(to, io.LimitReader(body, e.Size), s.buffer)
	if err != nil {
		return err
	}
	if n < e.Size {
		return io.ErrUnexpectedEOF
	}
	if sum != nil {
		e.SHA256 = hex.EncodeToString(sum.Sum(nil))
	}
	return nil
}

// onlyWriter keeps io.CopyBuffer to its buffer.
type onlyWriter struct{ io.Writer }

// aliases are the directories that merged /usr makes links.
var aliases = map[string]bool{"bin": true, "sbin": true, "lib": true, "lib32": true, "lib64": true, "libx32": true}

// Canonical moves a path below a directory that merged /usr aliases into
// /usr. The alias itself, when it is a symlink, stays where it is.
func Canonical(p string, t Type) string {
	first, _, below := strings.Cut(p, "/")
	if aliases[first] && (below || t == Dir) {
		return "usr/" + p
	}
	return p
}

// Contents makes a Source of files in memory, in the order given.
func Contents(list []Content) Source { return &contents{list: list} }

type contents struct {
	list []Content
	io.Reader
}

func (c *contents) Next() (Entry, error) {
	if len(c.list) == 0 {
		return Entry{}, io.EOF
	}
	next := c.list[0]
	c.list, c.Reader = c.list[1:], bytes.NewReader(next.Data)
	if next.Type == File {
		next.Size = int64(len(next.Data))
	}
	if next.Path != path.Clean(next.Path) || strings.HasPrefix(next.Path, "/") || strings.HasPrefix(next.Path, "..") {
		return Entry{}, fmt.Errorf("bad path %q", next.Path)
	}
	return next.Entry, nil
}
