package composer

import (
	"context"

	"github.com/hardstand/hardstand/build"
	"github.com/hardstand/hardstand/build/spec"
	"github.com/hardstand/hardstand/internal/cli"
)

// OpenFrom verifies the image that a definition starts from and opens it. Files
// that the definition names are relative to dir. What has no signature as the
// definition demands it is a cli.RefusedError.
type OpenFrom func(ctx context.Context, from *spec.From, dir string) (*build.Base, error)

// openFrom opens the image that a source starts from, if it does, once.
func (o *archiveOptions) openFrom(ctx context.Context, s *Source) error {
	from := s.Definition.From
	if from == nil || s.base != nil {
		return nil
	}
	if o.offline && !from.Offline() {
		return cli.Usagef("the image starts from %s, whose signature is judged with the help of the network: do without --offline", from.Image)
	}
	var err error
	s.base, err = o.From(ctx, from, s.dir)
	return err
}
