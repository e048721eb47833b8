package dockerfile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/hardstand/hardstand/audit"
)

// Limits of a walk over a build context.
const (
	maxEntries    = 200_000
	maxIgnoreFile = 1 << 20
	maxPatterns   = 2000
)

// buildContext is what BuildKit would be sent.
type buildContext struct {
	artifact   audit.Artifact
	ignoreFile string   // path of the ignore file, "" without one
	patterns   []string // of the ignore file
	matcher    *patternmatcher.PatternMatcher
	files      []string // that reach the builder
	ignored    map[string]bool
	all        map[string]bool // every file, sent or not
	valuable   []valuable      // that reach the builder and should not
	hidden     int             // valuable files that the ignore file keeps away
	truncated  bool
	// noRequirements are go.mod files of modules that need no others.
	noRequirements map[string]bool
	fsys           fs.FS
	notes          []string
	// above is what the patterns said of a directory, for what lies in it.
	above map[string]patternmatcher.MatchInfo
}

// valuable is a file that an intruder would like, and why.
type valuable struct{ path, what string }

// walkContext evaluates the ignore file over every file of the context. A
// file counts as sent when the builder could see it. Symbolic links are not
// followed, as the builder does not follow them either.
func walkContext(in Input) (*buildContext, error) {
	bc := &buildContext{artifact: audit.Artifact{Kind: audit.Context, Name: in.ContextName}, ignored: map[string]bool{}, all: map[string]bool{}, noRequirements: map[string]bool{}, fsys: in.Context, above: map[string]patternmatcher.MatchInfo{}}
	if bc.artifact.Name == "" {
		bc.artifact.Name = "."
	}
	if err := bc.readIgnore(in); err != nil {
		return nil, err
	}
	entries := 0
	err := fs.WalkDir(in.Context, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			bc.notes = append(bc.notes, fmt.Sprintf("%s: %v", bc.artifact.Name, err))
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if entries++; entries > maxEntries {
			bc.truncated = true
			return fs.SkipAll
		}
		if p == "." {
			return nil
		}
		if d.IsDir() {
			return bc.visitDir(p)
		}
		bc.visit(p)
		return nil
	})
	if bc.truncated {
		bc.notes = append(bc.notes, fmt.Sprintf("%s: more than %d entries; the rest was not looked at", bc.artifact.Name, maxEntries))
	}
	return bc, err
}

func (bc *buildContext) readIgnore(in Input) error {
	for _, name := range []string{in.IgnoreFile, ".dockerignore"} {
		if name == "" {
			continue
		}
		file, err := openRegular(in.Context, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		data, err := io.ReadAll(io.LimitReader(file, maxIgnoreFile+1))
		_ = file.Close()
		if err != nil {
			return err
		}
		if len(data) > maxIgnoreFile {
			return fmt.Errorf("%s has more than %d bytes", name, maxIgnoreFile)
		}
		sum := sha256.Sum256(data)
		bc.ignoreFile, bc.artifact.SHA256 = name, hex.EncodeToString(sum[:])
		if bc.patterns, err = ignorefile.ReadAll(strings.NewReader(string(data))); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		break
	}
	if len(bc.patterns) > maxPatterns {
		return fmt.Errorf("%s has more than %d patterns", bc.ignoreFile, maxPatterns)
	}
	m, err := patternmatcher.New(bc.patterns)
	if err != nil {
		return fmt.Errorf("%s: %w", bc.ignoreFile, err)
	}
	bc.matcher = m
	return nil
}

// openRegular opens a file and nothing else: opening a named pipe would wait
// for somebody to write to it.
func openRegular(fsys fs.FS, name string) (fs.File, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("it is no regular file")}
	}
	return fsys.Open(name)
}

// visitDir skips directories that cannot hold a sent file.
func (bc *buildContext) visitDir(p string) error {
	excluded := bc.walked(p, true)
	if what := valuableDir(path.Base(p)); what != "" {
		if excluded && !bc.matcher.Exclusions() {
			bc.hidden++
			return fs.SkipDir
		}
		if !excluded {
			bc.valuable = append(bc.valuable, valuable{p + "/", what})
			return fs.SkipDir
		}
	}
	if excluded && !bc.matcher.Exclusions() {
		return fs.SkipDir
	}
	return nil
}

func (bc *buildContext) visit(p string) {
	bc.all[p] = true
	what := valuableFile(path.Base(p))
	if bc.walked(p, false) {
		bc.ignored[p] = true
		if what != "" {
			bc.hidden++
		}
		return
	}
	bc.files = append(bc.files, p)
	if path.Base(p) == "go.mod" && !bc.requires(p) {
		bc.noRequirements[p] = true
	}
	if what != "" {
		bc.valuable = append(bc.valuable, valuable{p, what})
	}
}

// requires reports whether a go.mod requires other modules; one that cannot be
// read does.
func (bc *buildContext) requires(p string) bool {
	file, err := openRegular(bc.fsys, p)
	if err != nil {
		return true
	}
	data, err := io.ReadAll(io.LimitReader(file, maxIgnoreFile))
	_ = file.Close()
	return err != nil || strings.Contains(string(data), "require")
}

// walked is excluded for a path that the walk is at: what was found of its
// directory is used again, as in BuildKit's own walk.
func (bc *buildContext) walked(p string, dir bool) bool {
	if len(bc.patterns) == 0 {
		return false
	}
	ok, info, err := bc.matcher.MatchesUsingParentResults(p, bc.above[path.Dir(p)])
	if dir && err == nil {
		bc.above[p] = info
	}
	return err == nil && ok
}

// excluded reports whether the patterns keep a path away, one directory after
// the other, as a walk comes to it.
func (bc *buildContext) excluded(p string) bool {
	if len(bc.patterns) == 0 {
		return false
	}
	var info patternmatcher.MatchInfo
	for i := 0; ; i++ {
		end := strings.IndexByte(p[i:], '/')
		here := p
		if end >= 0 {
			here = p[:i+end]
		}
		ok, next, err := bc.matcher.MatchesUsingParentResults(here, info)
		if err != nil || end < 0 {
			return err == nil && ok
		}
		info, i = next, i+end
	}
}

// denyByDefault reports whether the ignore file lets nothing through that it
// does not name: names that nobody would write into it are all kept away.
func (bc *buildContext) denyByDefault() bool {
	for _, p := range []string{"zq7-unnamed", "zq7-unnamed.zq7", ".zq7-unnamed", "zq7/unnamed/zq7"} {
		if !bc.excluded(p) {
			return false
		}
	}
	return true
}

func valuableDir(name string) string {
	switch name {
	case ".git", ".svn", ".hg":
		return "the version history"
	case ".aws", ".azure", ".gcloud":
		return "cloud credentials"
	case ".ssh":
		return "SSH keys"
	case ".kube":
		return "cluster credentials"
	case ".docker":
		return "registry credentials"
	case ".gnupg":
		return "OpenPGP keys"
	case ".terraform":
		return "Terraform's state and plugins"
	}
	return ""
}

func valuableFile(name string) string {
	lower := strings.ToLower(name)
	switch {
	case strings.HasSuffix(lower, ".pub"), strings.HasSuffix(lower, ".example"), strings.HasSuffix(lower, ".sample"),
		strings.HasSuffix(lower, ".template"), strings.HasSuffix(lower, ".dist"), strings.HasSuffix(lower, ".tmpl"):
		return ""
	case lower == ".env" || strings.HasPrefix(lower, ".env."):
		return "settings with secrets"
	case lower == ".envrc":
		return "settings with secrets"
	case strings.HasPrefix(lower, "id_rsa"), strings.HasPrefix(lower, "id_ed25519"), strings.HasPrefix(lower, "id_ecdsa"), strings.HasPrefix(lower, "id_dsa"):
		return "an SSH key"
	case lower == ".npmrc", lower == ".pypirc", lower == ".netrc", lower == "_netrc", lower == ".git-credentials", lower == ".dockercfg":
		return "credentials"
	case lower == "kubeconfig":
		return "cluster credentials"
	case strings.HasSuffix(lower, ".pem"), strings.HasSuffix(lower, ".key"), strings.HasSuffix(lower, ".p12"), strings.HasSuffix(lower, ".pfx"), strings.HasSuffix(lower, ".jks"), strings.HasSuffix(lower, ".kdbx"):
		return "a key or certificate store"
	case strings.HasSuffix(lower, ".tfstate"), strings.Contains(lower, ".tfstate."), strings.HasSuffix(lower, ".tfvars"):
		return "Terraform state or variables"
	case lower == "credentials" || lower == "credentials.json" || lower == "service-account.json" || lower == "secrets.yaml" || lower == "secrets.yml":
		return "credentials"
	case strings.HasSuffix(lower, ".ovpn"):
		return "VPN credentials"
	}
	return ""
}
