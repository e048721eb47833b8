//go:build linux

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"

	"github.com/hardstand/hardstand/build/spec"
)

// bench is a working directory with a warm cache, a cache that holds packages
// only, and a signing key that needs no passphrase.
type bench struct {
	options
	dir    string
	engine *exec.Cmd // dockerd, if started
}

func (b *bench) path(parts ...string) string {
	return filepath.Join(append([]string{b.dir}, parts...)...)
}

// env names directories of the bench for hardstand.
func (b *bench) env(cache string) []string {
	return []string{"XDG_CACHE_HOME=" + b.path(cache), "XDG_CONFIG_HOME=" + b.path("config"), "XDG_STATE_HOME=" + b.path("state"), "SOURCE_DATE_EPOCH="}
}

// images of the row that builds every variant.
var (
	families = []string{"static", "base", "cc"}
	variants = []string{"", "-root", "-debug", "-debug-root"}
)

func (b *bench) prepare(ctx context.Context) error {
	if err := b.makeKey(); err != nil {
		return err
	}
	for _, family := range families {
		for _, variant := range variants {
			if _, err := execute(ctx, b.env("warm"), b.build(family+variant, "layout-"+family+variant)); err != nil {
				return err
			}
		}
	}
	if err := b.keepDebs(ctx); err != nil {
		return err
	}
	if err := b.prepareAlone(ctx); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, b.hardstand, "images", "base")
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("read the definition of base: %w", err)
	}
	return os.WriteFile(b.path("base.yaml"), text, 0o600)
}

func (b *bench) makeKey() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(b.path("key.pem"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}

// keepDebs copies the packages, and nothing else, of the warm cache to another.
func (b *bench) keepDebs(ctx context.Context) error {
	for _, family := range families {
		for _, variant := range []string{"", "-debug"} {
			if err := b.keepLocked(filepath.Join("images", family+variant+".lock.json")); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

func (b *bench) keepLocked(lock string) error {
	data, err := os.ReadFile(lock)
	if err != nil {
		return err
	}
	var l spec.Lock
	if err := json.Unmarshal(data, &l); err != nil {
		return err
	}
	for _, list := range l.Platforms {
		for _, p := range list {
			if err := b.keepBlob(p.SHA256); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bench) keepBlob(digest string) error {
	data, err := os.ReadFile(b.path("warm", "hardstand", "blobs", digest))
	if err != nil {
		return err
	}
	to := b.path("debs", "hardstand", "blobs", digest)
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o600)
}

// build is a command line that leaves a signed layout with SBOM and provenance.
func (b *bench) build(image, out string, more ...string) []string {
	return append([]string{b.hardstand, "build", image, "-q", "--key", b.path("key.pem"), "-o", "oci:" + b.path(out)}, more...)
}

func (b *bench) warm() []contender {
	return []contender{
		{name: "process start", commands: [][]string{{b.hardstand, "--version"}}},
		{name: "warm static", env: b.env("warm"), commands: [][]string{b.build("static", "layout-static")}},
		{name: "warm base", env: b.env("warm"), commands: [][]string{b.build("base", "layout-base")}},
		{name: "warm base, every byte hashed", env: b.env("warm"), commands: [][]string{b.build("base", "layout-base", "--rehash")}},
	}
}

// fresh makes the cache "cold" a copy of another and removes the last output.
func (b *bench) fresh(from string) func() error {
	return func() error {
		if err := os.RemoveAll(b.path("cold")); err != nil {
			return err
		}
		if err := os.RemoveAll(b.path("out")); err != nil || from == "" {
			return err
		}
		return exec.Command("cp", "-a", b.path(from), b.path("cold")).Run()
	}
}

func (b *bench) fromDebs() []contender {
	one := func(image string) contender {
		return contender{name: "debs cached, " + image, setup: b.fresh("debs"), env: b.env("cold"),
			commands: [][]string{b.build(image, "out", "--locked", "--offline", "--platform", "linux/amd64")}}
	}
	all := contender{name: "debs cached, all variants of static, base, cc, two platforms", setup: b.fresh("debs"), env: b.env("cold"),
		commands: [][]string{b.build(families[0], "out", slices.Concat(families[1:], []string{"--variants", "--locked", "--offline"})...)}}
	each := contender{name: "the same, one image at a time", setup: b.fresh("debs"), env: b.env("cold")}
	for _, family := range families {
		for _, variant := range variants {
			each.commands = append(each.commands, b.build(family+variant, "out/"+family+variant, "--locked", "--offline"))
		}
	}
	return append(b.fromDebsAlone(), one("static"), one("base"), all, each)
}

func (b *bench) network() []contender {
	return []contender{
		{name: "nothing cached, base locked", setup: b.fresh(""), env: b.env("cold"),
			commands: [][]string{b.build("base", "out", "--locked", "--platform", "linux/amd64")}},
		{name: "nothing cached, base resolved", setup: b.fresh(""), env: b.env("cold"),
			commands: [][]string{b.build(b.path("base.yaml"), "out", "--platform", "linux/amd64")}},
		{name: "index cached, base resolved again", setup: b.lockOnce(), env: b.env("again"), commands: [][]string{b.lock()}},
	}
}

// lock is a command line that resolves base for its platforms.
func (b *bench) lock() []string {
	return []string{b.hardstand, "lock", b.path("again.d", "base.yaml"), "-q"}
}

// lockOnce fills the cache "again" with the archive's indexes. Its definition
// has a directory to itself, for the lock that is written beside it.
func (b *bench) lockOnce() func() error {
	return sync.OnceValue(func() error {
		text, err := os.ReadFile(b.path("base.yaml"))
		if err != nil {
			return err
		}
		if err := os.MkdirAll(b.path("again.d"), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(b.path("again.d", "base.yaml"), text, 0o600); err != nil {
			return err
		}
		line := b.lock()
		c := exec.Command(line[0], line[1:]...)
		c.Env = b.env("again")
		if out, err := c.CombinedOutput(); err != nil {
			return fmt.Errorf("lock base: %w: %s", err, out)
		}
		return nil
	})
}
