package collector

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/canary/collector"
	"github.com/hardstand/hardstand/canary/collector/listen"
	"github.com/hardstand/hardstand/canary/collector/sink"
	"github.com/hardstand/hardstand/canary/collector/web"
	"github.com/hardstand/hardstand/internal/cli"
)

// dashboardConfig is the section dashboard; without listen there is none.
type dashboardConfig struct {
	Listen    string      `yaml:"listen"`
	URL       string      `yaml:"url"`              // as browsers see it
	AdminHash string      `yaml:"admin-token-hash"` // from `hardstand canary admin-token`
	OIDC      *oidcConfig `yaml:"oidc"`
}

type oidcConfig struct {
	Name         string      `yaml:"name"`
	Issuer       string      `yaml:"issuer"`
	ClientID     string      `yaml:"client-id"`
	ClientSecret sink.Secret `yaml:"client-secret"`
	Scopes       []string    `yaml:"scopes"`
	Claim        string      `yaml:"claim"`
	Viewer       []string    `yaml:"viewer"`
	Responder    []string    `yaml:"responder"`
}

// outer is what people and intruders meet: the dashboard and the credential
// listeners.
type outer struct {
	log         *slog.Logger
	certificate *collector.Certificate
	dashboard   *web.Dashboard // nil: none
	address     string         // of the dashboard
	credentials *credentials
}

func (o serveOptions) outer(f *cli.Frame, c *collector.Collector, options collector.Options, certificate *collector.Certificate, log *slog.Logger) (*outer, error) {
	conf, err := readConfig(o.config)
	if err != nil {
		return nil, err
	}
	out := &outer{log: log, certificate: certificate, address: conf.Dashboard.Listen}
	if out.address != "" {
		if out.dashboard, err = openDashboard(f, conf.Dashboard, options, log); err != nil {
			return nil, err
		}
	}
	out.credentials = openCredentials(conf.Credentials, c, options.Register, certificate, log)
	return out, nil
}

func openDashboard(f *cli.Frame, d dashboardConfig, options collector.Options, log *slog.Logger) (*web.Dashboard, error) {
	o := web.Options{Store: options.Store, BaseURL: d.URL, AdminHash: d.AdminHash, Version: f.Version, Now: f.Now, Log: log}
	if d.OIDC != nil {
		secrets := sink.Options{ReadFile: func(file string) ([]byte, error) { return readLimited(file, maxSecret) }, Getenv: f.Getenv}
		o.OIDC = &web.OIDC{Name: d.OIDC.Name, Issuer: d.OIDC.Issuer, ClientID: d.OIDC.ClientID, Scopes: d.OIDC.Scopes, Claim: d.OIDC.Claim,
			Viewer: d.OIDC.Viewer, Responder: d.OIDC.Responder}
		if secret := d.OIDC.ClientSecret; !secret.IsZero() {
			if _, err := secrets.Secret(secret); err != nil {
				return nil, fmt.Errorf("open dashboard: client-secret: %w", err)
			}
			o.OIDC.ClientSecret = func() (string, error) { return secrets.Secret(secret) }
		}
	}
	return web.New(o)
}

// handler is what the alarms' address serves: alarms, and, once a credential
// file is registered, what its holders ask for at the same address.
func (o *outer) handler(alarms http.Handler) http.Handler {
	mux := http.NewServeMux()
	for _, path := range []string{"/v1/alerts", "/v1/drills", "/v1/lines", "/v1/falco", "/livez", "/readyz"} {
		mux.Handle(path, alarms)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if o.credentials.book.Empty() {
			alarms.ServeHTTP(w, r)
			return
		}
		o.credentials.api.ServeHTTP(w, r)
	})
	return mux
}

func (o *outer) run(ctx context.Context, group *errgroup.Group) {
	ready := func(what string) func(net.Addr) {
		return func(at net.Addr) { o.log.Info("listening", "for", what, "address", at.String()) }
	}
	if o.dashboard != nil {
		context.AfterFunc(ctx, o.dashboard.Stop)
		group.Go(func() error {
			return collector.Serve(ctx, collector.Listen{Address: o.address, Certificate: o.certificate, Browsers: true, Log: o.log, Ready: ready("people")}, o.dashboard)
		})
	}
	for _, address := range o.credentials.https {
		group.Go(func() error {
			return collector.Serve(ctx, collector.Listen{Address: address, Certificate: o.certificate, Log: o.log, Ready: ready("credentials, HTTPS")}, o.credentials.api)
		})
	}
	for _, l := range o.credentials.listeners {
		group.Go(func() error { return l.serve(ctx, o.log, ready("credentials, "+l.name)) })
	}
}

// limits of one credential listener; what failed is told only to who asks for
// debugging, because anybody on the network can cause it.
func limits(log *slog.Logger, name string) listen.Server {
	return listen.Server{Failed: func(err error) { log.Debug("credential listener", "name", name, "error", err) }}
}
