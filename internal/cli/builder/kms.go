package builder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/sign"
)

// pluginDir names the directory of the programs that reach key management
// services, where they are not beside hardstand.
const pluginDir = "HARDSTAND_KMS_PLUGINS"

// loadKMS opens a key of a key management service.
func loadKMS(ctx context.Context, f *cli.Frame, reference string) (*sign.Signer, error) {
	service := sign.KMS{Dir: f.Getenv(pluginDir), Stderr: f.Stderr}
	if service.Dir == "" {
		var err error
		if service.Dir, err = cli.ProgramDir(); err != nil {
			return nil, fmt.Errorf("load key %s: %w", reference, err)
		}
	}
	s, err := service.Load(ctx, reference)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w; %s names another directory for it", err, pluginDir)
	}
	return s, err
}
