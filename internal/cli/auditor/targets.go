package auditor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/detect"
	"github.com/hardstand/hardstand/internal/cli"
)

// target is one thing to audit.
type target struct {
	kind audit.Kind // "" for a directory
	arg  string     // as the user named it; for files of a tree, the path below it
	path string     // of the file or directory, "" for what is not on disk
	root string     // of the repository that is being audited, or ""
	data []byte     // the file's content where it was read already, or nil

	image  v1.Image // of a target of that kind, opened
	digest v1.Hash  // of the image or its index, where a registry could know it
}

// verdicts is what auditing one target gave.
type verdicts struct {
	artifacts []audit.Artifact
	findings  []audit.Finding
	notes     []string
}

func (v *verdicts) add(w verdicts) {
	v.artifacts = append(v.artifacts, w.artifacts...)
	v.findings = append(v.findings, w.findings...)
	v.notes = append(v.notes, w.notes...)
}

// auditFunc audits a target of one kind. An error means that it could not be
// judged at all.
type auditFunc func(ctx context.Context, f *cli.Frame, o *auditOptions, t target) (verdicts, error)

// auditors says who audits what.
func auditors() map[audit.Kind]auditFunc {
	return map[audit.Kind]auditFunc{
		audit.Dockerfile: auditDockerfile,
		audit.Workflow:   auditWorkflow,
		audit.Inventory:  auditPackages,
		audit.Image:      auditImage,
		audit.Kubernetes: auditWorkload,
		audit.Compose:    auditWorkload,
		audit.ECS:        auditWorkload,
		audit.Docker:     auditWorkload,
		audit.Export:     auditWorkload,
	}
}

// maxFile bounds a file that is audited, in bytes.
const maxFile = 4 << 20

// locate finds out what an argument of audit names: standard input, or what
// the function locate finds, a file by its content too.
func (o *auditOptions) locate(f *cli.Frame, arg string) (target, error) {
	if arg == "-" {
		if o.kind == "" {
			return target{}, cli.Usagef("say with --kind what stands on standard input")
		}
		data, err := limited(f.Stdin, maxFile)
		return target{kind: audit.Kind(o.kind), arg: "stdin", data: data}, err
	}
	t, err := locate(arg)
	if err != nil {
		return t, err
	}
	if t.kind == audit.Image && t.path == "" && (o.kind != "" && o.kind != string(audit.Image) || detect.Name(arg) != "" || detect.Structured(arg)) && !strings.HasPrefix(arg, "oci:") && !strings.HasPrefix(arg, "docker:") && !strings.HasPrefix(arg, "docker-archive:") {
		_, err := os.Stat(arg)
		return t, fmt.Errorf("there is no such file: %w", err)
	}
	if info, err := os.Stat(t.path); t.path != "" && err == nil && !info.IsDir() {
		return o.locateFile(arg)
	}
	return t, nil
}

// locate finds out what an argument names: an image by its prefix (oci:DIR,
// docker-archive:FILE, docker:REF) or as a layout, a file or directory on disk
// (without a kind), or else a reference in a registry.
func locate(arg string) (target, error) {
	for _, prefix := range []string{"oci:", "docker-archive:", "docker:"} {
		if strings.HasPrefix(arg, prefix) {
			return target{kind: audit.Image, arg: arg}, nil
		}
	}
	info, err := os.Stat(arg)
	switch {
	case err == nil && info.IsDir():
		if _, err := os.Stat(filepath.Join(arg, "oci-layout")); err == nil {
			return target{kind: audit.Image, arg: "oci:" + arg, path: arg}, nil
		}
		return target{arg: arg, path: arg}, nil
	case err == nil:
		return target{arg: arg, path: arg}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return target{}, fmt.Errorf("find %s: %w", arg, err)
	case strings.HasPrefix(arg, ".") || strings.HasPrefix(arg, "/"):
		return target{}, fmt.Errorf("find %s: %w", arg, err)
	}
	return target{kind: audit.Image, arg: arg}, nil
}

func (o *auditOptions) locateFile(arg string) (target, error) {
	t := target{kind: audit.Kind(o.kind), arg: reportName(arg), path: arg}
	if t.kind == "" {
		t.kind = detect.Name(filepath.ToSlash(arg))
	}
	if t.kind == audit.Image || t.kind == "" && strings.HasSuffix(arg, ".tar") {
		return target{kind: audit.Image, arg: "docker-archive:" + arg, path: arg}, nil
	}
	if t.kind == audit.Inventory {
		return t, nil // a program may be of any size, and is not read whole
	}
	data, err := readLimited(arg, maxFile)
	if err != nil {
		return t, err
	}
	t.data = data
	if t.kind == "" {
		t.kind = detect.Content(data)
	}
	if t.kind == "" {
		return t, cli.Usagef("cannot tell what %s is; say it with --kind", arg)
	}
	return t, nil
}

func limited(r io.Reader, max int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > max {
		return nil, fmt.Errorf("has more than %d bytes", max)
	}
	return data, nil
}
