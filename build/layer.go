package build

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/rootfs"
)

// layerRecord is what the cache remembers of a layer.
type layerRecord struct {
	Digest cache.Digest `json:"digest"`
	DiffID cache.Digest `json:"diff-id"`
	Size   int64        `json:"size"`
}

// layerOf returns the layer of a group, from the cache when it is there.
func layerOf(ctx context.Context, c *cache.Cache, by codec, tree *rootfs.Tree, g group) (oci.Layer, error) {
	var list []*rootfs.Segment
	parts := []string{"layer", transformVersion, by.encoder}
	for _, s := range g.segments {
		list, parts = append(list, s.Segment), append(parts, string(s.Packed))
	}
	dirs := tree.Dirs(list)
	meta, err := json.Marshal(dirs)
	if err != nil {
		return oci.Layer{}, err
	}
	key := cache.Key(append(parts, string(meta))...)
	var rec layerRecord
	if data, err := c.Record(key); err == nil && json.Unmarshal(data, &rec) == nil {
		if file, err := c.File(rec.Digest); err == nil {
			return rec.layer(file, g.note, by), nil
		}
	}
	rec, err = writeLayer(ctx, c, by, dirs, g.segments)
	if err != nil {
		return oci.Layer{}, fmt.Errorf("write layer of %s: %w", g.note, err)
	}
	data, err := json.Marshal(rec)
	if err != nil {
		return oci.Layer{}, err
	}
	if err := c.PutRecord(key, data); err != nil {
		return oci.Layer{}, err
	}
	return rec.layer(c.Path(rec.Digest), g.note, by), nil // it was hashed when it was written
}

func (r layerRecord) layer(file, note string, by codec) oci.Layer {
	return oci.Layer{
		Digest: v1.Hash{Algorithm: "sha256", Hex: string(r.Digest)}, DiffID: v1.Hash{Algorithm: "sha256", Hex: string(r.DiffID)},
		Size: r.Size, Path: file, Note: note, Compression: by.name,
	}
}

// errCacheLost is wrapped when the cache remembers a segment whose bytes are
// gone or damaged. Assembling again makes them anew.
var errCacheLost = errors.New("the cache lost a segment")

// writeLayer strings a layer together: the directories, the segments, the
// trailer. The segments' compressed blocks are copied as they are, so nothing
// is compressed twice.
func writeLayer(ctx context.Context, c *cache.Cache, by codec, dirs []rootfs.Entry, segments []*segment) (layerRecord, error) {
	w, err := c.Create()
	if err != nil {
		return layerRecord{}, err
	}
	defer w.Abort()
	diff := sha256.New()
	if err := member(by, w, diff, func(m io.Writer) error { return rootfs.WriteDirs(m, dirs) }); err != nil {
		return layerRecord{}, err
	}
	for _, s := range segments {
		if err := ctx.Err(); err != nil {
			return layerRecord{}, err
		}
		err := s.held.copyTo(w, diff)
		if errors.Is(err, errNotHeld) {
			err = unpackBlob(c, by, w, diff, s.Packed)
		}
		if err != nil {
			return layerRecord{}, err
		}
	}
	if err := member(by, w, diff, rootfs.WriteTrailer); err != nil {
		return layerRecord{}, err
	}
	r := layerRecord{Digest: w.Sum(), DiffID: cache.HashOf(diff), Size: w.Size()}
	return r, w.Commit(r.Digest)
}

// unpackBlob copies a segment from the cache as it is, and unpacked.
func unpackBlob(c *cache.Cache, by codec, packed, plain io.Writer, d cache.Digest) error {
	r, w := io.Pipe()
	unpacked := make(chan error, 1)
	go func() {
		err := unpackTo(plain, by, r)
		_, _ = io.Copy(io.Discard, r) // so that damage is found by the digest
		unpacked <- err
	}()
	err := copyBlob(c, io.MultiWriter(packed, w), d)
	_ = w.CloseWithError(err)
	return cmp.Or(err, <-unpacked)
}

func unpackTo(w io.Writer, by codec, r io.Reader) error {
	z, err := by.reader(r)
	if err != nil {
		return fmt.Errorf("unpack segment: %w", err)
	}
	defer z.Close() //nolint:errcheck // opened for reading
	if _, err := io.Copy(w, z); err != nil {
		return fmt.Errorf("unpack segment: %w", err)
	}
	return nil
}

// member writes one gzip member, or zstd frame, and hashes what is in it.
func member(by codec, w io.Writer, diff hash.Hash, write func(io.Writer) error) error {
	var plain bytes.Buffer
	if err := write(io.MultiWriter(&plain, diff)); err != nil {
		return err
	}
	data, err := by.compress(plain.Bytes())
	if err != nil {
		return fmt.Errorf("compress layer: %w", err)
	}
	_, err = w.Write(data)
	return err
}

// copyBlob copies a blob. Damage shows at its end: what was copied is void then.
func copyBlob(c *cache.Cache, w io.Writer, d cache.Digest) error {
	err := c.Copy(w, d)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %v", errCacheLost, err) // not fs.ErrNotExist: nothing is gone from a mirror
	}
	return err
}
