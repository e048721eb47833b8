package auditor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/internal/cli"
)

// target is one thing to audit.
type target struct {
	kind audit.Kind
	arg  string // as the user named it; for files of a tree, the path below it
	path string // of the file or directory, "" for what is not on disk
	data []byte // the file's content where it was read already, or nil
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
	return map[audit.Kind]auditFunc{}
}

// locate finds out what an argument names: an image by its prefix
// (oci:DIR, docker-archive:FILE, docker:REF), a file or directory on disk, or
// else a reference in a registry.
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
	case strings.HasPrefix(arg, ".") || strings.HasPrefix(arg, "/"):
		return target{}, fmt.Errorf("find %s: %w", arg, err)
	}
	return target{kind: audit.Image, arg: arg}, nil
}
