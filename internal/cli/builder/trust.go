package builder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/hardstand/hardstand/internal/cli"
	"github.com/hardstand/hardstand/sign"
)

// instanceOptions are the flags that say which sigstore instance keyless
// signatures belong to.
type instanceOptions struct {
	mirror string
	root   string
}

func (o *instanceOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.mirror, "tuf-mirror", "", "`URL` of the TUF repository of a private sigstore instance (default: the public instance)")
	flags.StringVar(&o.root, "tuf-root", "", "root.json `file` that the TUF repository is trusted by")
}

// open asks the instance what it has.
func (o *instanceOptions) open(ctx context.Context, f *cli.Frame) (*sign.Instance, error) {
	if (o.mirror == "") != (o.root == "") {
		return nil, cli.Usagef("--tuf-mirror and --tuf-root belong together")
	}
	cache, err := f.CacheDir()
	if err != nil {
		return nil, err
	}
	opts := sign.InstanceOptions{Mirror: o.mirror, CacheDir: filepath.Join(cache, "tuf")}
	if o.root != "" {
		if opts.Root, err = readLimited(o.root, 1<<20); err != nil {
			return nil, fmt.Errorf("read TUF root: %w", err)
		}
	}
	return sign.OpenInstance(ctx, opts)
}

// trustOptions are the flags that say whose signature counts.
type trustOptions struct {
	instance       instanceOptions
	keys           []string
	identity       string
	identityRegexp string
	issuer         string
	repository     string
	trustedRoot    string
	require        []string
}

func (o *trustOptions) flags(flags *pflag.FlagSet, keys string) {
	flags.StringSliceVar(&o.keys, keys, nil, "public key `files`, or keys of a KMS such as awskms:///alias/NAME; one match is enough")
	flags.StringVar(&o.identity, "identity", "", "`subject` of the certificate of a keyless signature")
	flags.StringVar(&o.identityRegexp, "identity-regexp", "", "regular `expression` that the whole subject must match")
	flags.StringVar(&o.issuer, "issuer", "", "`URL` of the issuer that vouched for the subject")
	flags.StringVar(&o.repository, "github-repository", "", "`OWNER/NAME` that the certificate must state")
	flags.StringVar(&o.trustedRoot, "trusted-root", "", "trusted_root.json `file` that certificates are judged by; with it nothing is fetched")
	o.instance.flags(flags)
	flags.StringArrayVar(&o.require, "require", nil, "attestation that must be there, such as spdx, cyclonedx, provenance,builder=URI or a predicate type URI; may be repeated")
}

// options reads the files that the flags name.
func (o *trustOptions) options(ctx context.Context, f *cli.Frame, command string) (sign.VerifyOptions, error) {
	opts := sign.VerifyOptions{Platforms: true, Now: f.Now()}
	keyless := o.identity != "" || o.identityRegexp != "" || o.issuer != ""
	switch {
	case len(o.keys) == 0 && !keyless:
		return opts, cli.Usagef("%s needs --key FILE, or --identity and --issuer: a signature by just anyone proves nothing", command)
	case keyless && (o.identity == "" && o.identityRegexp == "" || o.issuer == ""):
		return opts, cli.Usagef("a keyless signature is judged by --identity or --identity-regexp together with --issuer")
	}
	var err error
	if opts.Keys, err = loadPublicKeys(ctx, f, o.keys); err != nil {
		return opts, err
	}
	if keyless {
		if opts.TrustedRoot, err = o.root(ctx, f); err != nil {
			return opts, err
		}
		opts.Identities = []sign.Identity{{Subject: o.identity, SubjectRegexp: o.identityRegexp, Issuer: o.issuer, Repository: o.repository}}
	}
	for _, text := range o.require {
		r, err := sign.ParseRequirement(text, f.Now())
		if err != nil {
			return opts, cli.Usagef("--require %s: %v", text, err)
		}
		opts.Require = append(opts.Require, r)
	}
	return opts, nil
}

// root is what certificates are judged by: a file, or what the instance says.
func (o *trustOptions) root(ctx context.Context, f *cli.Frame) (*sign.TrustedRoot, error) {
	if o.trustedRoot == "" {
		instance, err := o.instance.open(ctx, f)
		if err != nil {
			return nil, err
		}
		return instance.TrustedRoot()
	}
	data, err := readLimited(o.trustedRoot, 4<<20)
	if err != nil {
		return nil, fmt.Errorf("read trusted root: %w", err)
	}
	r, err := sign.LoadTrustedRoot(data)
	if err != nil {
		return nil, fmt.Errorf("read trusted root %s: %w", o.trustedRoot, err)
	}
	return r, nil
}

// demands names what the flags demand, as a URI with the flags as its query.
// Of keys it has the content's digest, since a file's name says nothing.
func (o *trustOptions) demands(keys []sign.Key) string {
	q := url.Values{}
	for _, k := range keys {
		q.Add("key", k.ID)
	}
	for name, value := range map[string]string{
		"identity": o.identity, "identity-regexp": o.identityRegexp, "issuer": o.issuer, "github-repository": o.repository,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	for _, r := range o.require {
		q.Add("require", r)
	}
	return "urn:hardstand:verify?=" + q.Encode()
}

// signerOptions are the flags that say what to sign with.
type signerOptions struct {
	key           string
	passwordFile  string
	isKeyless     bool
	signingConfig string
}

func (o *signerOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.key, "key", "", "private key `file`, or a key of a KMS such as awskms:///alias/NAME")
	flags.StringVar(&o.passwordFile, "password-file", "", "read the key's passphrase from this `file`")
	flags.BoolVar(&o.isKeyless, "keyless", false, "sign as the GitHub Actions job that this runs in, with the services of the sigstore instance")
	flags.StringVar(&o.signingConfig, "signing-config", "", "sign keylessly with the services of this signing_config.json `file`")
}

// load opens the signer.
func (o *signerOptions) load(ctx context.Context, f *cli.Frame, instance instanceOptions) (*sign.Signer, error) {
	keyless := o.isKeyless || o.signingConfig != ""
	switch {
	case o.key != "" && keyless:
		return nil, cli.Usagef("--key excludes --keyless and --signing-config")
	case keyless:
		return o.keyless(ctx, f, instance)
	case o.key == "":
		return nil, cli.Usagef("--key FILE, a KMS key or --keyless is needed: nothing is published unsigned")
	case sign.IsKMSReference(o.key):
		return loadKMS(ctx, f, o.key)
	}
	data, err := readLimited(o.key, 1<<20)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read signing key: %w: hardstand keygen makes one", err)
	}
	if err != nil {
		return nil, fmt.Errorf("read signing key: %w", err)
	}
	passphrase, err := f.Passphrase(ctx, os.LookupEnv, o.passwordFile, false)
	if err != nil {
		return nil, err
	}
	s, err := sign.LoadSigner(data, passphrase)
	if err != nil {
		return nil, fmt.Errorf("read signing key %s: %w", o.key, err)
	}
	return s, nil
}

func (o *signerOptions) keyless(ctx context.Context, f *cli.Frame, instance instanceOptions) (*sign.Signer, error) {
	url, token := f.Getenv("ACTIONS_ID_TOKEN_REQUEST_URL"), f.Getenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN")
	if url == "" || token == "" {
		return nil, errors.New("sign keylessly: this is no GitHub Actions job with the permission id-token: write")
	}
	config, err := o.services(ctx, f, instance)
	if err != nil {
		return nil, err
	}
	return sign.NewKeyless(sign.KeylessOptions{Token: sign.GitHubToken(url, token, nil), SigningConfig: config})
}

// services is the signing config: a file, or what the instance says.
func (o *signerOptions) services(ctx context.Context, f *cli.Frame, instance instanceOptions) ([]byte, error) {
	if o.signingConfig == "" {
		opened, err := instance.open(ctx, f)
		if err != nil {
			return nil, err
		}
		return opened.SigningConfig()
	}
	config, err := readLimited(o.signingConfig, 1<<20)
	if err != nil {
		return nil, fmt.Errorf("read signing config: %w", err)
	}
	return config, nil
}
