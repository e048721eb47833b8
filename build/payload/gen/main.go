// Command gen compiles the programs of package payload and writes them,
// compressed, to build/payload/bin. It runs from the root of the module. A
// program whose bytes did not change keeps its file, so that an unchanged tree
// is not rebuilt.
package main

import (
	"bytes"
	"debug/buildinfo"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/build/cache"
	"github.com/hardstand/hardstand/build/payload"
	"github.com/hardstand/hardstand/build/rootfs"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/canary/decoy"
)

const outDir = "build/payload/bin"

func main() {
	platforms := flag.String("platforms", "linux/amd64,linux/arm64", "comma-separated platforms")
	lesser := flag.String("lesser", "", "comma-separated platforms that get only what the built-in images use")
	version := flag.String("version", "dev", "version to record")
	unpack := flag.String("unpack", "", "write the probes of this machine's platform to a directory, and nothing else")
	flag.Parse()
	if *unpack != "" {
		if err := unpackProbes(*unpack); err != nil {
			fmt.Fprintln(os.Stderr, "payload:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(*platforms, *lesser, *version); err != nil {
		fmt.Fprintln(os.Stderr, "payload:", err)
		os.Exit(1)
	}
}

func run(platforms, lesser, version string) error {
	manifest := programs{list: map[string]payload.Program{}}
	// A build seldom keeps two cores busy to its end; two builds do.
	var group errgroup.Group
	group.SetLimit(2)
	all := []string{payload.Probe, payload.ProbePlain, payload.Decoy, payload.DecoyPlain, payload.Guard, payload.GuardPlain}
	for _, set := range []struct {
		platforms string
		programs  []string
	}{{platforms, all}, {lesser, []string{payload.Probe, payload.DecoyPlain}}} {
		for s := range strings.SplitSeq(set.platforms, ",") {
			if s == "" {
				continue
			}
			p, err := spec.ParsePlatform(s)
			if err != nil {
				return err
			}
			group.Go(func() error { return manifest.compile(p, set.programs, version) })
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	data, err := json.MarshalIndent(manifest.list, "", "  ")
	if err != nil {
		return err
	}
	if err := removeOthers(manifest.list); err != nil {
		return err
	}
	return writeChanged("manifest.json", append(data, '\n'))
}

// removeOthers removes programs of an earlier run, which would be embedded too.
func removeOthers(manifest map[string]payload.Program) error {
	entries, err := os.ReadDir(outDir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if _, ok := manifest[e.Name()]; ok || e.Name() == "manifest.json" || e.Name() == "README" {
			continue
		}
		if err := os.Remove(filepath.Join(outDir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// programs are what the manifest lists, by file name.
type programs struct {
	mu   sync.Mutex
	list map[string]payload.Program
}

func (m *programs) compile(p spec.Platform, names []string, version string) error {
	for _, name := range names {
		prog, err := build(name, p)
		if err != nil {
			return fmt.Errorf("build %s for %s: %w", name, p, err)
		}
		prog.Version = version
		m.mu.Lock()
		m.list[payload.FileName(name, p)] = prog
		m.mu.Unlock()
	}
	return nil
}

// unpackProbes writes the probes that images get for use on this machine.
func unpackProbes(dir string) error {
	p := spec.Platform{Arch: runtime.GOARCH}
	if p.Arch == "arm" {
		p.Variant = "v7"
	}
	for _, name := range []string{payload.Probe, payload.ProbePlain} {
		program, err := payload.Read(name, p)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), program.Data, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func build(name string, p spec.Platform) (payload.Program, error) {
	tmp, err := os.MkdirTemp("", "payload-")
	if err != nil {
		return payload.Program{}, err
	}
	defer os.RemoveAll(tmp) //nolint:errcheck // a temporary directory
	out := filepath.Join(tmp, name)
	args, env := Command(name, p, out)
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return payload.Program{}, err
	}
	data, err := os.ReadFile(out)
	if err != nil {
		return payload.Program{}, err
	}
	info, err := buildinfo.Read(bytes.NewReader(data))
	if err != nil {
		return payload.Program{}, err
	}
	if name != payload.Probe && name != payload.ProbePlain {
		data = decoy.Clean(data) // as it will be planted, so that its blocks are those of images
	}
	from, to := decoy.Configured(data)
	packed, cut, err := payload.Pack(data, from, to)
	if err != nil {
		return payload.Program{}, err
	}
	prog := payload.Program{SHA256: cache.Sum(data), Size: int64(len(data)), Cut: cut}
	if name == payload.Probe || name == payload.ProbePlain {
		if prog.Start, err = start(data); err != nil {
			return payload.Program{}, err
		}
	}
	prog.Go = strings.TrimPrefix(info.GoVersion, "go")
	for _, m := range info.Deps {
		prog.Modules = append(prog.Modules, payload.Module{Path: m.Path, Version: m.Version})
	}
	return prog, writeChanged(payload.FileName(name, p), packed)
}

// start hashes what a layer with a probe begins with: see layerPlan in package build.
func start(data []byte) (*payload.Start, error) {
	var before, after bytes.Buffer
	dir := func(name string) rootfs.Entry { return rootfs.Entry{Path: name, Type: rootfs.Dir, Mode: 0o755} }
	if err := rootfs.WriteDirs(&before, []rootfs.Entry{dir("usr"), dir("usr/bin")}); err != nil {
		return nil, err
	}
	e := rootfs.Entry{Path: "usr/bin/probe", Mode: 0o555, Size: int64(len(data))}
	at := &before
	w := writer(func(p []byte) (int, error) { return at.Write(p) })
	if _, err := rootfs.WriteFile(w, "probe", e, func() error { at = &after; return nil }); err != nil {
		return nil, err
	}
	return payload.NewStart(before.Bytes(), data, after.Bytes())
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// Command gives the arguments and environment with which the go command
// builds a program: static, stripped, and the same bytes on every machine.
func Command(name string, p spec.Platform, out string) (args, env []string) {
	flags, pkg := "-s -w -buildid=", "./probe"
	if name == payload.Decoy || name == payload.DecoyPlain {
		pkg = "./canary/decoy/multicall"
	} else if name == payload.Guard || name == payload.GuardPlain {
		pkg = "./canary/guard"
	} else if p.Arch == "amd64" || p.Arch == "arm64" {
		flags += " -E main.entry" // the entry point that answers before the runtime starts
	}
	args = []string{"build", "-trimpath", "-buildvcs=false", "-ldflags", flags, "-o", out}
	if name == payload.Probe {
		args = append(args, "-gcflags=crypto/tls=-l") // a tenth of a megabyte less, and no slower
	}
	switch name {
	case payload.ProbePlain:
		args = append(args, "-tags", "notls")
	case payload.DecoyPlain, payload.GuardPlain:
		args = append(args, "-tags", "nonet")
	case payload.Decoy, payload.Guard:
		args = append(args, payload.Smaller()...)
	}
	env = []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + p.Arch, "GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0"}
	if p.Arch == "arm" {
		env = append(env, "GOARM="+strings.TrimPrefix(p.Variant, "v"))
	}
	return append(args, pkg), env
}

func writeChanged(name string, data []byte) error {
	path := filepath.Join(outDir, name)
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return os.WriteFile(path, data, 0o644)
}
