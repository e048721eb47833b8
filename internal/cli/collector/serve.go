package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/hardstand/hardstand/canary/collector"
	"github.com/hardstand/hardstand/canary/collector/register"
	"github.com/hardstand/hardstand/canary/collector/sink"
	"github.com/hardstand/hardstand/canary/collector/store"
	"github.com/hardstand/hardstand/canary/collector/store/database"
	"github.com/hardstand/hardstand/internal/cli"
)

type serveOptions struct {
	keys, registers   []string
	databaseFile      string
	config, database  string
	listen            string
	certFile, keyFile string
	plain             bool
	metrics           string
	dns, zone         string
	addresses         []net.IP
	logs              []string
	ingestToken       string
	link              string
	retention, bodies time.Duration
	deadAfter         time.Duration
	share, burst      float64
	asJSON            bool
}

func serveCommand(f *cli.Frame) *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:   "collector",
		Short: "Receive, verify and pass on the alarms of decoys",
		Long: `Receive what decoys, credential files and guards send, verify it with the master
secret, keep it, and tell the sinks of the configuration. An alarm is
acknowledged once it is on disk.

Without --config, messages are printed. Sinks, and the networks they may be in,
are described in docs/collector.md.`,
		Example: `  hardstand canary collector --tls-cert tls.crt --tls-key tls.key --config collector.yaml
  hardstand canary collector --plain-http --listen 127.0.0.1:8080
  docker logs -f app 2>&1 | hardstand canary collector --plain-http --listen 127.0.0.1:8080 --logs -
  hardstand canary collector --database postgres://collector@db/alarms --config collector.yaml --tls-cert tls.crt --tls-key tls.key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runServe(cmd.Context(), f, o) },
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&o.keys, "key", nil, "master secret `files` (default: canary.key in the configuration directory)")
	flags.StringSliceVar(&o.registers, "register", nil, "`files` or directories of registers (default: registers in the state directory)")
	flags.StringVar(&o.config, "config", "", "configuration `file` with the sinks")
	flags.StringVar(&o.database, "database", "", "`file` of the store, or postgres:// URL (default: collector.db in the state directory)")
	flags.StringVar(&o.databaseFile, "database-file", "", "`file` that holds the store's URL, whose password then is in no list of processes")
	flags.StringVar(&o.listen, "listen", ":8443", "`address` for alarms")
	flags.StringVar(&o.certFile, "tls-cert", "", "certificate `file`, PEM; read again when it changes")
	flags.StringVar(&o.keyFile, "tls-key", "", "key `file`, PEM")
	flags.BoolVar(&o.plain, "plain-http", false, "serve HTTP, behind a proxy that ends TLS")
	flags.StringVar(&o.metrics, "metrics", "127.0.0.1:9464", "`address` for metrics and health, plain HTTP; empty: none")
	flags.StringVar(&o.dns, "dns", "", "`address` of the DNS listener, UDP and TCP; empty: none")
	flags.StringVar(&o.zone, "zone", "", "DNS `zone` that decoys resolve names in")
	flags.IPSliceVar(&o.addresses, "dns-answer", nil, "`addresses` that names of the zone resolve to")
	flags.StringSliceVar(&o.logs, "logs", nil, "log `files` to follow; - is standard input")
	flags.StringVar(&o.ingestToken, "ingest-token", "", "`file` with the token that log shippers and Falco present")
	flags.StringVar(&o.link, "link", "", "`URL` of the dashboard, for messages")
	flags.DurationVar(&o.retention, "retention", 90*24*time.Hour, "how long alarms are kept; older ones are not accepted either")
	flags.DurationVar(&o.bodies, "retention-bodies", 7*24*time.Hour, "how long what a decoy saw is kept")
	flags.DurationVar(&o.deadAfter, "dead-after", 15*time.Minute, "silence of a guard that is an alarm; -1s: none is")
	flags.Float64Var(&o.share, "share", 50, "alarms a second that one image may send for long; the rest is counted and not kept; -1: no limit")
	flags.Float64Var(&o.burst, "burst", 1000, "alarms that one image may send at once")
	flags.BoolVar(&o.asJSON, "log-json", false, "write the log as JSON")
	return cmd
}

func (o *serveOptions) check(f *cli.Frame) error {
	if o.plain == (o.certFile != "" || o.keyFile != "") || (o.certFile == "") != (o.keyFile == "") {
		return cli.Usagef("collector needs --tls-cert and --tls-key, or --plain-http behind a proxy that ends TLS")
	}
	if o.dns != "" && o.zone == "" {
		return cli.Usagef("--dns needs --zone")
	}
	state, err := f.StateDir()
	if err != nil && (o.database == "" && o.databaseFile == "" || o.registers == nil) {
		return fmt.Errorf("%w; or give --database and --register", err)
	}
	if o.databaseFile != "" {
		text, err := readLimited(o.databaseFile, maxSecret)
		if err != nil {
			return fmt.Errorf("read the store's URL: %w", err)
		}
		o.database = strings.TrimSpace(string(text))
	}
	if o.database == "" {
		if err := os.MkdirAll(state, 0o700); err != nil {
			return err
		}
		o.database = filepath.Join(state, "collector.db")
	}
	if o.registers == nil {
		dir := filepath.Join(state, "registers")
		if os.MkdirAll(dir, 0o700) == nil { // what `build` writes there later is noticed; read-only, there is none to come
			o.registers = []string{dir}
		}
	}
	return nil
}

// collectAt is the garbage collector's GOGC where the environment says nothing:
// an alarm lives for a transaction, and the heap stays small beside SQLite's
// cache.
const collectAt = 400

func runServe(ctx context.Context, f *cli.Frame, o serveOptions) (err error) {
	if err := o.check(f); err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(f.Stderr, nil))
	if o.asJSON {
		log = slog.New(slog.NewJSONHandler(f.Stderr, nil))
	}
	if f.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	stamp := stampOf(o.registers) // what changes from here on is noticed
	options, err := o.options(ctx, f, log, metrics)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, options.Store.Close()) }()
	var certificate *collector.Certificate
	if !o.plain {
		if certificate, err = collector.LoadCertificate(o.certFile, o.keyFile, log); err != nil {
			return err
		}
	}
	c, err := collector.New(ctx, options)
	if err != nil {
		return err
	}
	defer c.Close()
	group, ctx := errgroup.WithContext(ctx)
	outer, err := o.outer(f, c, options, certificate, log)
	if err != nil {
		return err
	}
	ready := func(what string) func(net.Addr) {
		return func(at net.Addr) { log.Info("listening", "for", what, "address", at.String()) }
	}
	group.Go(func() error {
		return collector.Serve(ctx, collector.Listen{Address: o.listen, Certificate: certificate, Log: log, Ready: ready("alarms")}, outer.handler(c.Handler()))
	})
	outer.run(ctx, group)
	again := &registers{masters: options.Register.Masters(), paths: o.registers, collector: c, book: outer.credentials.book,
		log: log, stamp: stamp, builds: len(options.Register.Canaries())}
	group.Go(func() error { return again.follow(ctx) })
	if o.metrics != "" {
		mux := http.NewServeMux()
		mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
		mux.Handle("GET /livez", c.Handler())
		mux.Handle("GET /readyz", c.Handler())
		group.Go(func() error {
			return collector.Serve(ctx, collector.Listen{Address: o.metrics, Log: log, Ready: ready("metrics")}, mux)
		})
	}
	if o.dns != "" {
		group.Go(func() error { return c.ServeDNS(ctx, o.dns, collector.DNS{Address: o.addresses}, ready("names")) })
	}
	for _, file := range o.logs {
		group.Go(func() error {
			if file == "-" {
				return c.Lines(ctx, f.Stdin, "standard input")
			}
			return c.Tail(ctx, file)
		})
	}
	if err := group.Wait(); err != nil && ctx.Err() == nil || err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// options reads secrets, register and configuration and opens the store.
func (o serveOptions) options(ctx context.Context, f *cli.Frame, log *slog.Logger, metrics prometheus.Registerer) (collector.Options, error) {
	var none collector.Options
	secrets, err := masters(f, o.keys)
	if err != nil {
		return none, err
	}
	known, err := register.Load(secrets, o.registers...)
	if err != nil {
		return none, err
	}
	for _, file := range known.Skipped() {
		log.Warn("register was left out: it belongs to another master secret", "file", file)
	}
	token, err := readToken(o.ingestToken)
	if err != nil {
		return none, err
	}
	conf, err := readConfig(o.config)
	if err != nil {
		return none, err
	}
	list, filters, err := sinks(f, conf)
	if err != nil {
		return none, err
	}
	db, err := database.Open(ctx, o.database)
	if err != nil {
		return none, err
	}
	return collector.Options{
		Store: db, Register: known, Sinks: list, Filters: filters, Link: o.link, Zone: o.zone, IngestToken: token,
		Retention: store.Retention{Alarms: o.retention, Bodies: o.bodies}, DeadAfter: o.deadAfter, Share: o.share, Burst: o.burst,
		Log: log, Registerer: metrics, Now: f.Now, SinkAfter: sink.After,
	}, nil
}

const minToken = 16 // bytes

func readToken(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	text, err := readLimited(file, maxSecret)
	if err != nil {
		return "", fmt.Errorf("read ingest token: %w", err)
	}
	token := strings.TrimSpace(string(text))
	if len(token) < minToken {
		return "", fmt.Errorf("read ingest token: %s has fewer than %d characters; `openssl rand -hex 32` makes one", file, minToken)
	}
	return token, nil
}
