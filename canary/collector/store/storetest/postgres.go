package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // registers the driver
)

// ErrNoPostgres: the binaries are not installed.
var ErrNoPostgres = errors.New("needs PostgreSQL: install postgresql")

// Postgres is a server with data and a socket of its own, and no TCP port.
type Postgres struct {
	dir   string
	cmd   *exec.Cmd
	count atomic.Int64
}

const serverStart = 30 * time.Second

// StartPostgres starts a server. PostgreSQL refuses to run as root; then the
// user postgres or nobody runs it. durable leaves fsync on.
func StartPostgres(ctx context.Context, durable bool) (*Postgres, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		return nil, ErrNoPostgres
	}
	slices.Sort(found)
	bin := found[len(found)-1]
	dir, err := os.MkdirTemp("", "hardstand-pg-")
	if err != nil {
		return nil, err
	}
	p := &Postgres{dir: dir}
	as, err := unprivileged(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", dir+"/data", "-U", "collector", "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
	initdb.Dir, initdb.SysProcAttr = dir, as
	if text, err := initdb.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("initdb: %w: %s", err, text), os.RemoveAll(dir))
	}
	fsync := "fsync=off"
	if durable {
		fsync = "fsync=on"
	}
	p.cmd = exec.Command(filepath.Join(bin, "postgres"), "-D", dir+"/data", "-k", dir, "-c", "listen_addresses=", "-c", fsync, "-c", "max_connections=60")
	p.cmd.Dir, p.cmd.SysProcAttr = dir, as
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	defer log.Close()
	p.cmd.Stdout, p.cmd.Stderr = log, log
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := p.ready(ctx); err != nil {
		text, _ := os.ReadFile(log.Name()) // best effort for the message
		return nil, errors.Join(fmt.Errorf("%w: %s", err, text), p.Stop())
	}
	return p, nil
}

func unprivileged(dir string) (*syscall.SysProcAttr, error) {
	as := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		return as, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		if err := errors.Join(err1, err2, os.Chown(dir, uid, gid)); err != nil {
			return nil, err
		}
		as.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		return as, nil
	}
	return nil, errors.New("start PostgreSQL: no user postgres or nobody to run it")
}

// Pid is the server's process id.
func (p *Postgres) Pid() int { return p.cmd.Process.Pid }

func (p *Postgres) url(name string) string {
	return "postgres://collector@/" + name + "?host=" + p.dir
}

func (p *Postgres) ready(ctx context.Context) error {
	db, err := sql.Open("pgx", p.url("postgres"))
	if err != nil {
		return err
	}
	defer db.Close() // only asked
	for end := time.Now().Add(serverStart); ; time.Sleep(50 * time.Millisecond) {
		if err = db.PingContext(ctx); err == nil || time.Now().After(end) {
			return err
		}
	}
}

// Database creates an empty one and returns its URL.
func (p *Postgres) Database(ctx context.Context) (string, error) {
	db, err := sql.Open("pgx", p.url("postgres"))
	if err != nil {
		return "", err
	}
	defer db.Close() // only one statement
	name := fmt.Sprintf("test%d", p.count.Add(1))
	if _, err := db.ExecContext(ctx, "CREATE DATABASE "+name); err != nil {
		return "", err
	}
	return p.url(name), nil
}

// Stop ends the server and removes its data.
func (p *Postgres) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGINT) // fast shutdown; it may have ended
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill() // it may have ended just now
		<-ended
	}
	return os.RemoveAll(p.dir)
}
