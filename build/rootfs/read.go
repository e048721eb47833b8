package rootfs

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// MaxTarEntries bounds how many entries ReadTar accepts.
const MaxTarEntries = 2_000_000

// ReadTar reads the entries of a layer, in order, with the digests of its
// files. Paths that leave the root are an error. Entries of other kinds than
// an Entry has are left out and counted.
func ReadTar(r io.Reader) (entries []Entry, others int, err error) {
	t := tar.NewReader(r)
	for {
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return entries, others, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("read layer: %w", err)
		}
		if len(entries)+others >= MaxTarEntries {
			return nil, 0, fmt.Errorf("read layer: more than %d entries", MaxTarEntries)
		}
		p := path.Clean(strings.TrimLeft(h.Name, "/"))
		if p == ".." || strings.HasPrefix(p, "../") {
			return nil, 0, fmt.Errorf("read layer: path %q leaves the root", h.Name)
		}
		e := Entry{Path: p, Mode: uint32(h.Mode & 0o7777), UID: h.Uid, GID: h.Gid, ModTime: h.ModTime.Unix()}
		switch h.Typeflag {
		case tar.TypeReg:
			sum := sha256.New()
			if e.Size, err = io.Copy(sum, t); err != nil {
				return nil, 0, fmt.Errorf("read layer: %s: %w", p, err)
			}
			e.SHA256 = hex.EncodeToString(sum.Sum(nil))
		case tar.TypeDir:
			e.Type = Dir
		case tar.TypeSymlink:
			e.Type, e.Link = Symlink, h.Linkname
		case tar.TypeLink:
			e.Type, e.Link = Hardlink, path.Clean(strings.TrimLeft(h.Linkname, "/"))
		case tar.TypeFifo:
			e.Type = Fifo
		default:
			others++
			continue
		}
		if p != "." {
			entries = append(entries, e)
		}
	}
}
