package build

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/oci"
	"github.com/hardstand/hardstand/build/rootfs"
)

// layerRecord is what the cache remembers of a layer.
type layerRecord struct {
	Digest cache.Digest `json:"digest"`
	DiffID cache.Digest `json:"diff-id"`
	Size   int64        `json:"size"`
	// Offsets are where the segments begin, in bytes.
	Offsets []int64 `json:"offsets"`
}

// layerPlan is a layer that is not written yet.
type layerPlan struct {
	group
	key  cache.Digest
	dirs []rootfs.Entry
}

// plan says what the layer of a group will be.
func (st *store) plan(tree *rootfs.Tree, g group) (layerPlan, error) {
	var list []*rootfs.Segment
	parts := []string{"layer", transformVersion, st.by.encoder}
	for _, s := range g.segments {
		list, parts = append(list, s.Segment), append(parts, string(s.key))
	}
	dirs := tree.Dirs(list)
	meta, err := json.Marshal(dirs)
	if err != nil {
		return layerPlan{}, err
	}
	return layerPlan{g, cache.Key(append(parts, string(meta))...), dirs}, nil
}

// write returns a layer, from the cache when it is there.
func (st *store) write(ctx context.Context, p layerPlan) (oci.Layer, error) {
	rec, err, _ := inFlight.Do(st.Dir()+"\x00"+string(p.key), func() (any, error) {
		if r, ok := st.made.Load(p.key); ok && st.Contains(r.(layerRecord).Digest, r.(layerRecord).Size) {
			return r, nil
		}
		r, err := st.layer(ctx, p)
		if err == nil {
			st.made.Store(p.key, r)
		}
		return r, err
	})
	if err != nil {
		return oci.Layer{}, fmt.Errorf("write layer of %s: %w", p.note, err)
	}
	r := rec.(layerRecord)
	for i, s := range p.segments {
		if err := st.layered(s, r.Digest, r.Offsets[i]); err != nil {
			return oci.Layer{}, err
		}
		if p.kind != dataKind && p.kind != addedKind { // whose packages another platform has too
			s.held.release()
		}
	}
	return r.layer(st.Path(r.Digest), p.note, st.by), nil
}

// layer finds or writes a layer, whose content has been hashed either way.
func (st *store) layer(ctx context.Context, p layerPlan) (layerRecord, error) {
	var r layerRecord
	if data, err := st.Record(p.key); err == nil && json.Unmarshal(data, &r) == nil && len(r.Offsets) == len(p.segments) {
		if _, err := st.blob(r.Digest); err == nil {
			return r, nil
		}
	}
	r, err := st.writeLayer(ctx, p.dirs, p.segments)
	if err != nil {
		return r, err
	}
	data, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	return r, st.PutRecord(p.key, data)
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
func (st *store) writeLayer(ctx context.Context, dirs []rootfs.Entry, segments []*segment) (layerRecord, error) {
	w, err := st.Create()
	if err != nil {
		return layerRecord{}, err
	}
	defer w.Abort()
	diff := sha256.New()
	r := layerRecord{Offsets: make([]int64, len(segments))}
	// While one goroutine writes the compressed form, another hashes the tar, if
	// all of it is in memory.
	var plain io.Writer = diff
	var hashing errgroup.Group
	if held, ok := allHeld(segments); ok {
		plain = io.Discard
		hashing.Go(func() error { return writeTar(diff, dirs, held) })
	}
	err = st.writePacked(ctx, w, plain, dirs, segments, r.Offsets)
	if err := cmp.Or(err, hashing.Wait()); err != nil {
		return layerRecord{}, err
	}
	r.Digest, r.DiffID, r.Size = w.Sum(), cache.HashOf(diff), w.Size()
	return r, w.Commit(r.Digest)
}

// writePacked writes a layer and, to plain, the tar that it is. It notes where
// the segments begin.
func (st *store) writePacked(ctx context.Context, w *cache.Writer, plain io.Writer, dirs []rootfs.Entry, segments []*segment, offsets []int64) error {
	if err := member(st.by, w, plain, func(m io.Writer) error { return rootfs.WriteDirs(m, dirs) }); err != nil {
		return err
	}
	for i, s := range segments {
		if err := ctx.Err(); err != nil {
			return err
		}
		offsets[i] = w.Size()
		if err := st.copySegment(w, plain, s); err != nil {
			return err
		}
	}
	return member(st.by, w, plain, rootfs.WriteTrailer)
}

// allHeld returns the blocks of segments that are all in memory.
func allHeld(segments []*segment) (held [][]tarBlock, ok bool) {
	for _, s := range segments {
		list, ok := s.held.all()
		if !ok {
			return nil, false
		}
		held = append(held, list)
	}
	return held, true
}

// writeTar writes a layer's tar.
func writeTar(w io.Writer, dirs []rootfs.Entry, segments [][]tarBlock) error {
	if err := rootfs.WriteDirs(w, dirs); err != nil {
		return err
	}
	for _, list := range segments {
		if err := writePlain(w, list); err != nil {
			return err
		}
	}
	return rootfs.WriteTrailer(w)
}

// member writes one gzip member, or zstd frame, and to plain what is in it.
func member(by codec, w, plain io.Writer, write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(io.MultiWriter(&b, plain)); err != nil {
		return err
	}
	data, err := by.compress(b.Bytes())
	if err != nil {
		return fmt.Errorf("compress layer: %w", err)
	}
	_, err = w.Write(data)
	return err
}
