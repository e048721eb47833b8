package auditor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hardstand/hardstand/audit"
	"github.com/hardstand/hardstand/audit/detect"
	"github.com/hardstand/hardstand/audit/settings"
	"github.com/hardstand/hardstand/audit/workflow"
	"github.com/hardstand/hardstand/audit/workload"
	"github.com/hardstand/hardstand/internal/cli"
)

// Limits of a walk over a repository.
const (
	maxTreeFiles = 500_000
	maxTargets   = 5_000
	maxFindings  = 250_000
)

// skippedDirs hold what others wrote, or nothing to audit.
var skippedDirs = map[string]bool{".git": true, ".hg": true, ".svn": true, "node_modules": true, "vendor": true, ".terraform": true, ".venv": true, "__pycache__": true}

// judgeTree audits every artefact below a directory. A file that cannot be
// judged becomes a note and makes the command fail, but stops nothing.
func (o *auditOptions) judgeTree(ctx context.Context, f *cli.Frame, dir target) (verdicts, error) {
	targets, v, err := o.find(dir)
	if err != nil {
		return v, err
	}
	if len(targets) == 0 {
		return v, fmt.Errorf("there is no Dockerfile, workflow or workload below %s", dir.arg)
	}
	for _, t := range targets {
		if t.kind == audit.Workflow {
			data, err := readLimited(t.path, maxFile)
			o.scheduled = o.scheduled || err == nil && workflow.Scheduled(data)
		}
	}
	var failures []error
	judges := auditors()
	for _, t := range targets {
		judge, ok := judges[t.kind]
		if !ok {
			v.notes = append(v.notes, fmt.Sprintf("%s: nothing audits %s yet", t.arg, t.kind.Label()))
			continue
		}
		got, err := judge(ctx, f, o, t)
		if ctx.Err() != nil {
			return v, ctx.Err()
		}
		if errors.Is(err, workload.ErrTemplate) {
			// Charts lie in repositories: that they are no manifests is no fault.
			v.notes = append(v.notes, t.arg+": not judged: "+workload.ErrTemplate.Error())
			continue
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", t.arg, err))
		}
		if v.add(got); len(v.findings) > maxFindings {
			return v, fmt.Errorf("more than %d findings: audit parts of the tree, or exclude some in .hardstand.yaml", maxFindings)
		}
	}
	return v, errors.Join(failures...)
}

// find walks a directory. Symbolic links are not followed.
func (o *auditOptions) find(dir target) ([]target, verdicts, error) {
	var list []target
	var v verdicts
	files := 0
	err := filepath.WalkDir(dir.path, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			v.notes = append(v.notes, fmt.Sprintf("not looked at: %v", err))
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(dir.path, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if o.excluded(rel) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() {
			if skippedDirs[d.Name()] && rel != "." {
				return fs.SkipDir
			}
			return nil
		}
		if files++; files > maxTreeFiles || len(list) > maxTargets {
			return errors.New("there are too many files; audit parts of the tree, or exclude some in .hardstand.yaml")
		}
		if !d.Type().IsRegular() {
			return nil
		}
		if kind := kindOf(path, rel); kind != "" {
			list = append(list, target{kind: kind, arg: reportName(filepath.Join(dir.arg, rel)), path: path, root: filepath.Clean(dir.path)})
		}
		return nil
	})
	return list, v, err
}

// reportName is how a file or directory is reported: from the working directory
// on, as GitHub and editors want it, and so that a baseline fits however the
// file was named. What lies elsewhere keeps its path.
func reportName(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		if dir, err := os.Getwd(); err == nil {
			if rel, err := filepath.Rel(dir, abs); err == nil && filepath.IsLocal(rel) {
				return filepath.ToSlash(rel)
			}
		}
	}
	return filepath.ToSlash(filepath.Clean(path))
}

func (o *auditOptions) excluded(rel string) bool {
	for _, pattern := range o.settings.Exclude {
		if hit, err := settings.Match(pattern, rel); err == nil && hit {
			return true
		}
	}
	return false
}

// kindOf looks at a file's name, and at its content where the name says that
// it is YAML or JSON. What is too large to be an artefact is none.
func kindOf(path, rel string) audit.Kind {
	if kind := detect.Name(rel); kind != "" {
		return kind
	}
	if !detect.Structured(rel) {
		return ""
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxFile {
		return ""
	}
	data, err := readLimited(path, maxFile)
	if err != nil {
		return ""
	}
	kind := detect.Content(data)
	if kind == audit.Workflow {
		return "" // outside of a workflow directory it does not run
	}
	return kind
}
