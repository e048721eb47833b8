package deb

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/hardstand/hardstand/build/inflate"
	"github.com/hardstand/hardstand/build/xz"
	"github.com/klauspost/compress/zstd"
)

// xzDictMax bounds the memory an xz stream may ask for; "xz -9" needs 64 MiB.
const xzDictMax = 64 << 20

// Control is the content of control.tar that matters for composing an image.
type Control struct {
	Stanza    Stanza
	MD5Sums   []byte   // the md5sums file, may be empty
	Conffiles []string // absolute paths
	Scripts   []string // maintainer scripts present, such as "postinst", sorted
}

// unpacked is about how large data.tar is by Installed-Size, in bytes.
func (c Control) unpacked() int64 {
	kib, err := strconv.ParseInt(c.Stanza.Get("Installed-Size"), 10, 32)
	if err != nil {
		return 0
	}
	return kib<<10 + kib<<7 + 64<<10
}

// Type is the kind of a data.tar entry. No other kind is accepted.
type Type uint8

// The kinds of entries.
const (
	File Type = iota
	Dir
	Symlink
	Hardlink
)

// Entry is one entry of data.tar.
type Entry struct {
	Path     string // slash separated, clean, relative to the root, never "."
	Type     Type
	Mode     fs.FileMode // permission, setuid, setgid and sticky bits
	UID, GID int
	Size     int64 // bytes, of a File
	ModTime  time.Time
	Link     string // symlink target as written; hard link target as a Path
}

// Reader reads one package from front to back.
type Reader struct {
	control Control
	tar     *tar.Reader
	close   func()
	limits  Limits
	data    *limitReader
	member  *io.LimitedReader // data.tar as it stands in the package
	seen    map[string]Type
	entries int
}

// NewReader reads the package up to the start of its data. The caller calls
// Close when done.
func NewReader(r io.Reader, limits Limits) (*Reader, error) {
	limits = limits.withDefaults()
	ar, err := newArReader(r)
	if err != nil {
		return nil, err
	}
	if err := readFormatVersion(ar); err != nil {
		return nil, err
	}
	d := &Reader{limits: limits, seen: map[string]Type{}}
	name, body, err := nextMember(ar, "control.tar")
	if err != nil {
		return nil, err
	}
	if err := d.readControl(name, body); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	name, body, err = nextMember(ar, "data.tar")
	if err != nil {
		return nil, err
	}
	plain, done, err := decompress(name, body)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if z, ok := plain.(*xz.Reader); ok {
		z.Expect(d.control.unpacked())
	}
	d.data = &limitReader{r: plain, left: limits.Data, what: "data.tar"}
	d.tar, d.close, d.member = tar.NewReader(d.data), done, body
	return d, nil
}

// Close releases the decompressor. It does not close the underlying reader.
func (d *Reader) Close() { d.close() }

// Control returns the package's control data.
func (d *Reader) Control() Control { return d.control }

func readFormatVersion(ar *arReader) error {
	name, body, err := ar.next()
	if err != nil {
		return fmt.Errorf("read debian-binary: %w", noEOF(err))
	}
	if name != "debian-binary" {
		return fmt.Errorf("not a Debian package: first member is %q, not debian-binary", name)
	}
	version, err := io.ReadAll(io.LimitReader(body, 64))
	if err != nil {
		return fmt.Errorf("read debian-binary: %w", err)
	}
	if !bytes.HasPrefix(version, []byte("2.")) {
		return fmt.Errorf("unsupported package format %q, want 2.x", bytes.TrimSpace(version))
	}
	return nil
}

// nextMember finds the member whose name starts with prefix. deb(5) lets
// members whose names start with "_" stand anywhere before it.
func nextMember(ar *arReader, prefix string) (string, *io.LimitedReader, error) {
	for {
		name, body, err := ar.next()
		if err != nil {
			return "", nil, fmt.Errorf("find %s: %w", prefix, noEOF(err))
		}
		switch {
		case name == prefix || strings.HasPrefix(name, prefix+"."):
			return name, body, nil
		case !strings.HasPrefix(name, "_"):
			return "", nil, fmt.Errorf("find %s: unexpected member %q", prefix, name)
		}
	}
}

func decompress(name string, r io.Reader) (io.Reader, func(), error) {
	switch path.Ext(name) {
	case ".tar":
		return r, func() {}, nil
	case ".gz":
		z, err := inflate.NewReader(r)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { _ = z.Close() }, nil
	case ".xz":
		z, err := xz.NewReader(r, xzDictMax)
		if err != nil {
			return nil, nil, err
		}
		return z, func() { _ = z.Close() }, nil
	case ".zst":
		z, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(128<<20))
		if err != nil {
			return nil, nil, err
		}
		return z, z.Close, nil
	}
	return nil, nil, fmt.Errorf("unsupported compression %q", path.Ext(name))
}

var scriptNames = map[string]bool{"preinst": true, "postinst": true, "prerm": true, "postrm": true, "config": true}

func (d *Reader) readControl(name string, body io.Reader) error {
	plain, done, err := decompress(name, body)
	if err != nil {
		return err
	}
	defer done()
	limited := &limitReader{r: plain, left: d.limits.Control, what: "control.tar"}
	tr := tar.NewReader(limited)
	found := false
	for {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		member := path.Clean(h.Name)
		if scriptNames[member] {
			d.control.Scripts = insertSorted(d.control.Scripts, member)
		}
		if member != "control" && member != "md5sums" && member != "conffiles" {
			continue // Next reads it
		}
		var text bytes.Buffer
		text.Grow(int(min(h.Size, 1<<20)) + bytes.MinRead)
		if _, err := text.ReadFrom(tr); err != nil {
			return err
		}
		switch data := text.Bytes(); {
		case member == "control":
			if found {
				return errors.New("two control files")
			}
			found = true
			if d.control.Stanza, err = ParseStanza(data); err != nil {
				return fmt.Errorf("control file: %w", err)
			}
		case member == "md5sums":
			d.control.MD5Sums = data
		case member == "conffiles":
			d.control.Conffiles = strings.Fields(string(data))
		}
	}
	if !found {
		return errors.New("no control file")
	}
	return nil
}

func insertSorted(list []string, s string) []string {
	i := 0
	for i < len(list) && list[i] < s {
		i++
	}
	return append(list[:i], append([]string{s}, list[i:]...)...)
}

// Next returns the next entry of data.tar, or io.EOF after the last. A File's
// contents are read with Read until the following call of Next.
func (d *Reader) Next() (Entry, error) {
	for {
		h, err := d.tar.Next()
		if errors.Is(err, io.EOF) {
			return Entry{}, d.drain()
		}
		if err != nil {
			return Entry{}, fmt.Errorf("read data.tar: %w", err)
		}
		if d.entries++; d.entries > d.limits.Entries {
			return Entry{}, fmt.Errorf("data.tar: more than %d entries: %w", d.limits.Entries, ErrTooLarge)
		}
		e, err := d.entry(h)
		if err != nil {
			return Entry{}, fmt.Errorf("read data.tar: %w", err)
		}
		if e.Path != "." {
			return e, nil
		}
	}
}

// drain reads what follows the tar trailer, so that a truncated or damaged
// compressed stream is noticed even when the tar itself looked whole.
func (d *Reader) drain() error {
	if _, err := io.Copy(io.Discard, d.data); err != nil {
		return fmt.Errorf("read end of data.tar: %w", err)
	}
	if _, err := io.Copy(io.Discard, d.member); err != nil {
		return fmt.Errorf("read end of data.tar: %w", err)
	}
	if d.member.N > 0 {
		return fmt.Errorf("read end of data.tar: %w", io.ErrUnexpectedEOF)
	}
	return io.EOF
}

// Read reads the contents of the File that Next returned last.
func (d *Reader) Read(p []byte) (int, error) { return d.tar.Read(p) }

func (d *Reader) entry(h *tar.Header) (Entry, error) {
	name, err := cleanPath(h.Name)
	if err != nil {
		return Entry{}, &HostileError{h.Name, err.Error()}
	}
	e := Entry{Path: name, Mode: fs.FileMode(h.Mode & 0o777), UID: h.Uid, GID: h.Gid, ModTime: h.ModTime.UTC().Truncate(time.Second)}
	if h.Mode&0o4000 != 0 {
		e.Mode |= fs.ModeSetuid
	}
	if h.Mode&0o2000 != 0 {
		e.Mode |= fs.ModeSetgid
	}
	if h.Mode&0o1000 != 0 {
		e.Mode |= fs.ModeSticky
	}
	switch h.Typeflag {
	case tar.TypeReg:
		e.Type, e.Size = File, h.Size
	case tar.TypeDir:
		e.Type = Dir
	case tar.TypeSymlink:
		e.Type, e.Link = Symlink, h.Linkname
	case tar.TypeLink:
		e.Type = Hardlink
		if e.Link, err = cleanPath(h.Linkname); err != nil {
			return Entry{}, &HostileError{h.Name, "hard link target: " + err.Error()}
		}
	default:
		return Entry{}, &HostileError{h.Name, fmt.Sprintf("entry type %q is not a file, directory or link", h.Typeflag)}
	}
	return e, d.admit(h, e)
}

func (d *Reader) admit(h *tar.Header, e Entry) error {
	refuse := func(format string, args ...any) error {
		return &HostileError{h.Name, fmt.Sprintf(format, args...)}
	}
	for record := range h.PAXRecords {
		if strings.HasPrefix(record, "SCHILY.xattr.") {
			return refuse("extended attribute %s", strings.TrimPrefix(record, "SCHILY.xattr."))
		}
	}
	if e.UID < 0 || e.GID < 0 || int64(e.UID) > 1<<31 || int64(e.GID) > 1<<31 {
		return refuse("owner %d:%d out of range", e.UID, e.GID)
	}
	if e.Size > d.limits.Entry {
		return fmt.Errorf("entry %q has %d bytes: %w", h.Name, e.Size, ErrTooLarge)
	}
	if e.Path == "." {
		if e.Type != Dir {
			return refuse("the root is not a directory")
		}
		return nil
	}
	if _, dup := d.seen[e.Path]; dup {
		return refuse("path appears twice")
	}
	for dir := path.Dir(e.Path); dir != "."; dir = path.Dir(dir) {
		if t, ok := d.seen[dir]; ok && t != Dir {
			return refuse("goes through %q, which is not a directory", dir)
		}
	}
	if e.Type == Symlink && (e.Link == "" || strings.ContainsRune(e.Link, 0)) {
		return refuse("bad symlink target %q", e.Link)
	}
	if e.Type == Hardlink {
		if t, ok := d.seen[e.Link]; !ok || t != File && t != Hardlink {
			return refuse("hard link to %q, which is not a file before it", e.Link)
		}
	}
	d.seen[e.Path] = e.Type
	return nil
}

// cleanPath turns a member name such as "./usr/bin/" into "usr/bin".
func cleanPath(name string) (string, error) {
	switch {
	case name == "":
		return "", errors.New("empty path")
	case strings.HasPrefix(name, "/"):
		return "", errors.New("absolute path")
	case strings.ContainsAny(name, "\x00\n"):
		return "", errors.New("control character in path")
	case len(name) > 4096:
		return "", errors.New("path longer than 4096 bytes")
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", errors.New(`".." in path`)
		}
		if strings.HasPrefix(part, ".wh.") {
			return "", errors.New("a name that deletes files of lower layers")
		}
	}
	return path.Clean(name), nil
}

// limitReader fails, rather than ends, when more than left bytes are read.
type limitReader struct {
	r    io.Reader
	left int64
	what string
}

func (l *limitReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		var one [1]byte
		if n, err := l.r.Read(one[:]); n == 0 && err != nil {
			return 0, err
		}
		return 0, fmt.Errorf("%s: %w", l.what, ErrTooLarge)
	}
	if int64(len(p)) > l.left {
		p = p[:l.left]
	}
	n, err := l.r.Read(p)
	l.left -= int64(n)
	return n, err
}
