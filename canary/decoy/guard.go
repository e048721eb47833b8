package decoy

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/hardstand/hardstand/canary/alert"
	"github.com/hardstand/hardstand/canary/internal/config"
)

// Guard plants the optional entrypoint: the image's entrypoint becomes
// [Path, PROGRAM, ARGUMENT…]. Decoys then cannot write to the log themselves,
// because the guard cannot be read; it takes their alarms and writes them.
type Guard struct {
	Binary  []byte   // canary/guard for the platform, not yet configured
	Path    string   // absolute; /usr/bin/tini where empty
	Allowed []string // absolute paths that the application may execute unreported
	Deny    bool     // refuse to execute anything else
	Watched []string // files and folders whose opening is reported
	Pipes   []Pipe   // planted as named pipes that tell who reads them
}

// Pipe is a named pipe and what its reader gets.
type Pipe struct {
	Path    string
	Mode    fs.FileMode // 0666 where 0: the guard, which is not root, has to write to it
	Content []byte      // up to one page, so that no reader blocks the guard
}

const maxPipe = 4096

// guardFiles returns the guard's program and its pipes.
func (o Options) guardFiles(planted []Decoy, c config.Config) ([]File, error) {
	g := o.Guard
	if g == nil {
		return nil, nil
	}
	program := cmp.Or(g.Path, "/usr/bin/tini")
	if err := o.checkGuard(program, planted); err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	c.Decoys = append(slices.Clone(c.Decoys), config.Decoy{Name: alert.Guard, Key: o.Master.Key(o.BuildID, alert.Guard).Bytes(), OnTrip: alert.TripAlert})
	c.Allowed, c.Deny, c.Watched = g.Allowed, g.Deny, g.Watched
	for _, d := range planted {
		c.Planted = append(c.Planted, d.Path)
		if o.Tier == TierBoth {
			c.Planted = append(c.Planted, o.fullPath(d))
		}
		if path.Dir(d.Path) == "/usr/bin" { // by the links of a merged /usr
			c.Planted = append(c.Planted, "/bin/"+d.Name)
		}
	}
	var files []File
	for _, p := range g.Pipes {
		c.Pipes = append(c.Pipes, config.Pipe{Path: p.Path, Content: p.Content})
		files = append(files, File{Path: p.Path, Mode: fs.ModeNamedPipe | cmp.Or(p.Mode.Perm(), 0o666)})
	}
	filled, err := config.Fill(o.clean(g.Binary), c, o.seed("guard mask", ""))
	if err != nil {
		return nil, fmt.Errorf("guard: %w", err)
	}
	return append([]File{{Path: program, Mode: decoyMode, Content: filled}}, files...), nil
}

func (o Options) checkGuard(program string, planted []Decoy) error {
	if bytes.Equal(o.Guard.Binary, o.Binary) {
		return errors.New("its program is missing or is that of the decoys")
	}
	paths := slices.Concat([]string{program}, o.Guard.Allowed, o.Guard.Watched)
	for _, p := range o.Guard.Pipes {
		paths = append(paths, p.Path)
		if len(p.Content) > maxPipe {
			return fmt.Errorf("pipe %s: %d bytes, the limit is %d", p.Path, len(p.Content), maxPipe)
		}
		if o.Shadowed != nil && o.Shadowed(p.Path) {
			return fmt.Errorf("the image ships %s", p.Path)
		}
	}
	for _, p := range paths {
		if !path.IsAbs(p) || path.Clean(p) != p {
			return fmt.Errorf("path %q is not absolute and clean", p)
		}
	}
	if o.Shadowed != nil && o.Shadowed(program) {
		return fmt.Errorf("the image ships %s", program)
	}
	for _, d := range planted {
		if d.Path == program || d.Name == alert.Guard {
			return fmt.Errorf("the decoy %s takes its place", d.Path)
		}
	}
	return nil
}
