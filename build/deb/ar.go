package deb

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	arMagic      = "!<arch>\n"
	arHeaderSize = 60
)

// arReader walks the members of a Unix ar archive in the common format, which
// is all that deb(5) allows: no long-name tables.
type arReader struct {
	r       io.Reader
	current *io.LimitedReader
	padding bool
}

func newArReader(r io.Reader) (*arReader, error) {
	magic := make([]byte, len(arMagic))
	if _, err := io.ReadFull(r, magic); err != nil {
		return nil, fmt.Errorf("read ar magic: %w", noEOF(err))
	}
	if string(magic) != arMagic {
		return nil, errors.New("not a Debian package: no ar magic")
	}
	return &arReader{r: r}, nil
}

// next returns the next member's name and contents, or io.EOF after the last.
func (a *arReader) next() (string, *io.LimitedReader, error) {
	if err := a.finish(); err != nil {
		return "", nil, err
	}
	var h [arHeaderSize]byte
	if _, err := io.ReadFull(a.r, h[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return "", nil, io.EOF
		}
		return "", nil, fmt.Errorf("read ar header: %w", err)
	}
	if h[58] != '`' || h[59] != '\n' {
		return "", nil, errors.New("read ar header: bad terminator")
	}
	name := strings.TrimSuffix(strings.TrimRight(string(h[:16]), " "), "/")
	size, err := strconv.ParseInt(string(bytes.TrimRight(h[48:58], " ")), 10, 64)
	if err != nil || size < 0 {
		return "", nil, fmt.Errorf("read ar header of %q: bad size %q", name, h[48:58])
	}
	a.current = &io.LimitedReader{R: a.r, N: size}
	a.padding = size%2 == 1
	return name, a.current, nil
}

// finish skips what is left of the current member and its padding byte.
func (a *arReader) finish() error {
	if a.current == nil {
		return nil
	}
	if _, err := io.Copy(io.Discard, a.current); err != nil {
		return fmt.Errorf("read ar member: %w", err)
	}
	if a.current.N > 0 {
		return fmt.Errorf("read ar member: %w", io.ErrUnexpectedEOF)
	}
	if a.padding {
		// The padding byte of the last member may be missing; dpkg accepts that.
		var pad [1]byte
		if _, err := io.ReadFull(a.r, pad[:]); err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read ar padding: %w", err)
		}
	}
	a.current = nil
	return nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
