package index

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/hardstand/hardstand/build/deb"
)

// kept are the fields that are kept: what a dependency is resolved with and
// what a lock says.
var kept = []string{
	"Package", "Version", "Architecture", "Source", "Priority", "Provides", "Depends", "Pre-Depends",
	"Conflicts", "Breaks", "Filename", "Size", "SHA256",
}

// keptBy are kept by their first letter, in lower case.
var keptBy = func() (by ['z' + 1][]string) {
	for _, k := range kept {
		c := k[0] | 0x20
		by[c] = append(by[c], k)
	}
	return by
}()

// isKept reports whether a field is kept, in any case, as deb.Stanza reads it.
func isKept(field []byte) bool {
	c := field[0] | 0x20
	if c > 'z' {
		return false
	}
	for _, k := range keptBy[c] {
		if len(k) == len(field) && bytes.EqualFold(field, []byte(k)) {
			return true
		}
	}
	return false
}

// Head is what every candidate is known by.
type Head struct{ Name, Version, Arch, Provides string }

// HeadOf reads the head of a package for an architecture. Arch stays empty if
// the package is for another one. Whoever reads an index in another way has to
// come to the same.
func HeadOf(s deb.Stanza, arch string) (Head, error) {
	var h head
	for rest := []byte(s); len(rest) > 0; {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line, rest = rest[:i], rest[i+1:]
		} else {
			rest = nil
		}
		h.see(line)
	}
	return h.check(arch)
}

// head holds the lines' values as they come.
type head struct{ name, version, arch, provides []byte }

func (h *head) see(line []byte) {
	if len(line) == 0 {
		return
	}
	switch line[0] {
	case 'P':
		if value, ok := bytes.CutPrefix(line, []byte("Package: ")); ok {
			h.name = append(h.name[:0], bytes.TrimSpace(value)...)
		} else if value, ok := bytes.CutPrefix(line, []byte("Provides: ")); ok {
			h.provides = append(h.provides[:0], value...)
		}
	case 'V':
		if value, ok := bytes.CutPrefix(line, []byte("Version: ")); ok {
			h.version = append(h.version[:0], bytes.TrimSpace(value)...)
		}
	case 'A':
		if value, ok := bytes.CutPrefix(line, []byte("Architecture: ")); ok {
			h.arch = append(h.arch[:0], bytes.TrimSpace(value)...)
		}
	}
}

func (h *head) check(arch string) (Head, error) {
	if string(h.arch) != "all" && string(h.arch) != arch {
		return Head{}, nil
	}
	found := Head{string(h.name), string(h.version), string(h.arch), string(h.provides)}
	if !deb.ValidName(found.Name) {
		return Head{}, fmt.Errorf("bad package name %q", found.Name)
	}
	if !deb.ValidVersion(found.Version) {
		return Head{}, fmt.Errorf("package %s: bad version %q", found.Name, found.Version)
	}
	return found, nil
}

// Builder keeps of an index what an Index needs. Write it the text, and then
// ask it for the Table.
type Builder struct {
	arch string
	out  io.Writer

	part  []byte // of a line
	line  int    // lines so far
	start int    // the line that the stanza starts at, 0 between two
	size  int    // of the stanza so far
	keep  bool   // whether a continuation line belongs to a kept field
	text  []byte // kept of the stanza
	head  head

	sum   hash.Hash // of the chunk so far
	table Table
	err   error
}

// NewBuilder returns a builder for the packages of an architecture, which
// writes the text that is kept to out.
func NewBuilder(arch string, out io.Writer) *Builder {
	return &Builder{arch: arch, out: out, sum: sha256.New()}
}

// Write takes the next part of an index. Its error is that of the text.
func (b *Builder) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0 && b.err == nil; {
		i := bytes.IndexByte(rest, '\n')
		switch {
		case i < 0:
			b.part = append(b.part, rest...)
			rest = nil
			if len(b.part) > deb.MaxStanza {
				b.err = b.wrong(deb.ErrTooLarge)
			}
		case len(b.part) > 0:
			b.part = append(b.part, rest[:i]...)
			b.err, rest = b.take(b.part), rest[i+1:]
			b.part = b.part[:0]
		default:
			b.err, rest = b.take(rest[:i]), rest[i+1:]
		}
	}
	if b.err != nil {
		return 0, b.err
	}
	return len(p), nil
}

// take takes one line without its end.
func (b *Builder) take(line []byte) error {
	b.line++
	if len(line) == 0 {
		return b.finish()
	}
	first := b.start == 0
	if first {
		b.start = b.line
	}
	if b.size += len(line) + 1; b.size > deb.MaxStanza {
		return b.wrong(deb.ErrTooLarge)
	}
	if line[0] == ' ' || line[0] == '\t' {
		if first {
			return b.wrong(errors.New("starts with a continuation line"))
		}
	} else {
		i := 0
		for i < len(line) && line[i] != ':' && line[i] != ' ' && line[i] != '\t' {
			i++
		}
		if i == 0 || i == len(line) || line[i] != ':' {
			return b.wrong(fmt.Errorf("line %.60q is not a field", line))
		}
		b.keep = isKept(line[:i])
		b.head.see(line)
	}
	if b.keep {
		b.text = append(append(b.text, line...), '\n')
	}
	return nil
}

func (b *Builder) wrong(err error) error {
	return fmt.Errorf("paragraph at line %d: %w", max(b.start, 1), err)
}

// finish ends a stanza and keeps it if it is for the architecture.
func (b *Builder) finish() error {
	if b.start == 0 {
		return nil
	}
	h, err := b.head.check(b.arch)
	if err == nil && h.Arch != "" {
		err = b.add(h)
	}
	if err != nil {
		return err
	}
	b.start, b.size, b.keep, b.text = 0, 0, false, b.text[:0]
	b.head = head{b.head.name[:0], b.head.version[:0], b.head.arch[:0], b.head.provides[:0]}
	return nil
}

func (b *Builder) add(h Head) error {
	at := uint32(b.table.text)
	b.table.names = append(b.table.names, entry{hashName(h.Name), at})
	if h.Provides != "" {
		clauses, err := deb.ParseRelations(h.Provides, b.arch)
		if err != nil {
			return fmt.Errorf("package %s: Provides: %w", h.Name, err)
		}
		for _, c := range clauses {
			b.table.provides = append(b.table.provides, entry{hashName(c[0].Name), at})
		}
	}
	if len(b.table.names) > maxEntries || len(b.table.provides) > maxEntries {
		return fmt.Errorf("index of more than %d packages: %w", maxEntries, deb.ErrTooLarge)
	}
	b.text = append(b.text, '\n')
	return b.emit(b.text)
}

// emit writes kept text and sums its chunks.
func (b *Builder) emit(text []byte) error {
	if _, err := b.out.Write(text); err != nil {
		return err
	}
	for len(text) > 0 {
		n := min(len(text), chunkSize-int(b.table.text%chunkSize))
		b.sum.Write(text[:n])
		text, b.table.text = text[n:], b.table.text+int64(n)
		if b.table.text%chunkSize == 0 {
			b.endChunk()
		}
	}
	if b.table.text > maxText {
		return fmt.Errorf("index of more than %d bytes: %w", maxText, deb.ErrTooLarge)
	}
	return nil
}

func (b *Builder) endChunk() {
	b.table.sums = append(b.table.sums, [sha256.Size]byte(b.sum.Sum(nil)))
	b.sum.Reset()
}

// Table ends the index.
func (b *Builder) Table() (*Table, error) {
	if b.err == nil && len(b.part) > 0 {
		b.err = b.take(b.part)
		b.part = nil
	}
	if b.err == nil {
		b.err = b.finish()
	}
	if b.err != nil {
		return nil, b.err
	}
	if b.table.text%chunkSize != 0 {
		b.endChunk()
	}
	slices.SortFunc(b.table.names, entry.compare)
	slices.SortFunc(b.table.provides, entry.compare)
	return &b.table, nil
}
