// Command image measures hardstand audit of an image of 300 MB as a whole
// process: a layout of eight layers, as compressible as programs are, with
// programs, texts and a few thousand small files. It fails when the gate of
// two seconds is missed.
package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	bin := flag.String("bin", "bin/hardstand-audit", "the executable that audits")
	n := flag.Int("n", 7, "executions")
	flag.Parse()
	if err := run(context.Background(), *bin, *n); err != nil {
		fmt.Fprintln(os.Stderr, "bench/audit/image:", err)
		os.Exit(1)
	}
}

const (
	layers   = 8
	unpacked = 300 << 20 // bytes of all layers
	gate     = 2 * time.Second
)

func run(ctx context.Context, bin string, n int) error {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "hardstand-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // what is left is in the system's temporary directory
	packed, err := write(filepath.Join(dir, "image"), bin)
	if err != nil {
		return err
	}
	var walls, cpus []time.Duration
	for range n {
		wall, cpu, err := execute(ctx, bin, dir)
		if err != nil {
			return err
		}
		walls, cpus = append(walls, wall), append(cpus, cpu)
	}
	slices.Sort(walls)
	slices.Sort(cpus)
	median := walls[n/2]
	fmt.Printf("audit of %d MB in %d layers, %d MB packed: median %d ms, processor time %d ms, gate %d ms\n",
		unpacked>>20, layers, packed>>20, median.Milliseconds(), cpus[n/2].Milliseconds(), gate.Milliseconds())
	if median > gate {
		return fmt.Errorf("%s is more than %s", median, gate)
	}
	return nil
}

// write makes the layout and returns the bytes of its compressed layers.
func write(dir, program string) (int64, error) {
	code, err := os.ReadFile(program)
	if err != nil {
		return 0, err
	}
	img := v1.Image(empty.Image)
	var packed int64
	for i := range layers {
		data, err := archive(code, uint64(i))
		if err != nil {
			return 0, err
		}
		l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil })
		if err != nil {
			return 0, err
		}
		size, err := l.Size()
		if err != nil {
			return 0, err
		}
		packed += size
		if img, err = mutate.AppendLayers(img, l); err != nil {
			return 0, err
		}
	}
	_, err = layout.Write(dir, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img}))
	return packed, err
}

// archive is a layer: parts of a program under changing names, and small texts.
func archive(code []byte, seed uint64) ([]byte, error) {
	r := rand.New(rand.NewPCG(seed, 1))
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	add := func(name string, data []byte) error {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(data)), Typeflag: tar.TypeReg}); err != nil {
			return err
		}
		_, err := w.Write(data)
		return err
	}
	for i := 0; buf.Len() < unpacked/layers; i++ {
		size := 1 << (8 + r.IntN(8)) // small files are the most
		if i%40 == 0 {
			size = min(4<<20, unpacked/layers-buf.Len())
		}
		at := r.IntN(len(code) - size)
		if err := add(fmt.Sprintf("usr/lib/%d/%d.bin", seed, i), code[at:at+size]); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(add(fmt.Sprintf("usr/bin/tool%d", seed), code[:8<<20]), w.Close()); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// execute audits once. That rules fail is an answer, too.
func execute(ctx context.Context, bin, dir string) (wall, cpu time.Duration, err error) {
	cmd := exec.CommandContext(ctx, bin, "audit", "oci:image", "--no-config", "--fail-on", "never")
	cmd.Dir = dir
	start := time.Now()
	out, err := cmd.CombinedOutput()
	wall = time.Since(start)
	if err != nil {
		return 0, 0, fmt.Errorf("%w\n%s", err, out)
	}
	return wall, cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}
