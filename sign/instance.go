package sign

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sigstore/sigstore-go/pkg/tuf"
)

// InstanceOptions names a sigstore instance by its TUF repository, which says
// under signatures that expire which services and keys the instance has.
type InstanceOptions struct {
	// Mirror is the repository's address and Root its root.json, the anchor of
	// the trust. Both empty is sigstore's public instance, whose anchor is
	// linked in.
	Mirror string
	Root   []byte
	// CacheDir is a directory for what was fetched; it is looked at again
	// after a day, or when it has expired.
	CacheDir string
}

// Instance is a sigstore instance whose description is up to date.
type Instance struct {
	mirror string
	client *tuf.Client
}

// Names of the instance's descriptions, as sigstore's repositories have them.
const (
	targetTrustedRoot   = "trusted_root.json"
	targetSigningConfig = "signing_config.v0.2.json"

	maxTUFRoot = 1 << 20 // bytes of a root.json
)

// OpenInstance fetches what has changed since the last time. Nothing that the
// anchor does not vouch for is believed, and nothing that has expired.
func OpenInstance(ctx context.Context, o InstanceOptions) (*Instance, error) {
	if (o.Mirror == "") != (len(o.Root) == 0) {
		return nil, errors.New("open sigstore instance: an address and a root belong together")
	}
	if o.Mirror == "" {
		o.Mirror, o.Root = tuf.DefaultMirror, tuf.DefaultRoot()
	}
	if err := checkService(o.Mirror); err != nil {
		return nil, fmt.Errorf("open sigstore instance: %w", err)
	}
	if len(o.Root) > maxTUFRoot {
		return nil, fmt.Errorf("open sigstore instance: a root of more than %d bytes", maxTUFRoot)
	}
	if err := os.MkdirAll(o.CacheDir, 0o700); err != nil {
		return nil, fmt.Errorf("open sigstore instance: %w", err)
	}
	client, err := tuf.New((&tuf.Options{}).WithContext(ctx).WithRoot(o.Root).WithRepositoryBaseURL(o.Mirror).
		WithCachePath(filepath.Clean(o.CacheDir)).WithCacheValidity(1))
	if err != nil {
		return nil, fmt.Errorf("open sigstore instance %s: %w: without a network give the trusted root as a file", o.Mirror, err)
	}
	return &Instance{o.Mirror, client}, nil
}

// TrustedRoot returns what certificates and logs of the instance are judged by.
func (i *Instance) TrustedRoot() (*TrustedRoot, error) {
	data, err := i.target(targetTrustedRoot, maxTrustedRoot)
	if err != nil {
		return nil, err
	}
	return LoadTrustedRoot(data)
}

// SigningConfig returns the signing_config.json, for [KeylessOptions].
func (i *Instance) SigningConfig() ([]byte, error) {
	return i.target(targetSigningConfig, maxSigningConfig)
}

func (i *Instance) target(name string, limit int) ([]byte, error) {
	data, err := i.client.GetTarget(name)
	if err != nil {
		return nil, fmt.Errorf("fetch %s of %s: %w", name, i.mirror, err)
	}
	if len(data) > limit {
		return nil, fmt.Errorf("fetch %s of %s: over %d bytes", name, i.mirror, limit)
	}
	return data, nil
}
