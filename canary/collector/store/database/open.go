// Package database is the collector's store in SQLite or PostgreSQL: the same
// schema and the same statements for both. What differs is in dialect.go.
//
// Every transaction that writes begins by counting up the one row of the table
// meta. The row's lock puts writers in order, those of other collectors too:
// numbers are given out without gaps in time, the revision never runs ahead of
// what can be read, and two collectors cannot open two incidents for one story.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // registers the driver

	"github.com/hardstand/hardstand/canary/collector/store"
)

const (
	readers      = 4                // connections that dashboards share
	pollInterval = time.Second      // how soon changes of other collectors are seen
	busyTimeout  = 10 * time.Second // SQLite: another process, such as a backup, holds the file
)

// DB is a store.
type DB struct {
	write, read *sql.DB
	dialect     dialect
	prepared    *statements // nil: the driver keeps them

	mu          sync.Mutex // guards what follows
	rules       *rules     // as last read
	subscribers map[chan struct{}]bool
	closed      bool

	stop context.CancelFunc
	done sync.WaitGroup
}

var _ store.Store = (*DB)(nil)

// Open opens a store, creates or migrates its tables. location is the path of
// a file or a postgres:// URL.
func Open(ctx context.Context, location string) (*DB, error) {
	open := openSQLite
	if strings.HasPrefix(location, "postgres://") || strings.HasPrefix(location, "postgresql://") {
		open = openPostgres
	}
	db, err := open(location)
	if err != nil {
		return nil, err
	}
	db.subscribers = map[chan struct{}]bool{}
	if err := db.migrate(ctx); err != nil {
		return nil, errors.Join(err, db.closeDatabases())
	}
	if !db.dialect.shared {
		// Whoever held these is gone: this is the only collector.
		if _, err := db.write.ExecContext(ctx, "UPDATE deliveries SET due = 0 WHERE done = 0"); err != nil {
			return nil, errors.Join(wrap("open store", err), db.closeDatabases())
		}
	}
	background, stop := context.WithCancel(context.Background())
	db.stop = stop
	if db.dialect.shared {
		db.done.Go(func() { db.poll(background) })
	}
	return db, nil
}

func openSQLite(file string) (*DB, error) {
	// FULL: a commit is on disk before it is acknowledged.
	options := url.Values{"_pragma": {
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(ON)", "cache_size(-65536)", "temp_store(MEMORY)",
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
	}}
	name := "file:" + (&url.URL{Path: file}).EscapedPath() + "?"
	read, err := sql.Open("sqlite", name+options.Encode())
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	options.Set("_txlock", "immediate")
	write, err := sql.Open("sqlite", name+options.Encode())
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	write.SetMaxOpenConns(1)
	read.SetMaxOpenConns(readers)
	return &DB{write: write, read: read, dialect: sqlite, prepared: &statements{known: map[string]*sql.Stmt{}}}, nil
}

func openPostgres(location string) (*DB, error) {
	config, err := pgx.ParseConfig(location)
	if err != nil { // its text has the password taken out
		return nil, fmt.Errorf("open store: %w", err)
	}
	config.RuntimeParams["synchronous_commit"] = "on"
	config.RuntimeParams["application_name"] = "hardstand-collector"
	// A batch looks some hundred rows up by key. The planner cannot know how
	// few they are and would read whole tables for them.
	for _, plan := range []string{"enable_seqscan", "enable_hashjoin", "enable_mergejoin"} {
		config.RuntimeParams[plan] = "off"
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(2 * readers)
	db.SetMaxIdleConns(2 * readers)
	return &DB{write: db, read: db, dialect: postgres}, nil
}

// Close waits for running transactions.
func (db *DB) Close() error {
	db.mu.Lock()
	if db.closed {
		db.mu.Unlock()
		return nil
	}
	db.closed = true
	for wake := range db.subscribers {
		delete(db.subscribers, wake)
		close(wake)
	}
	db.mu.Unlock()
	db.stop()
	db.done.Wait()
	return db.closeDatabases()
}

func (db *DB) closeDatabases() error {
	if db.prepared != nil {
		db.prepared.close()
	}
	err := db.write.Close()
	if db.read != db.write {
		err = errors.Join(err, db.read.Close())
	}
	return err
}

// Ping fails while the store cannot write.
func (db *DB) Ping(ctx context.Context) error {
	_, err := db.write.ExecContext(ctx, "UPDATE meta SET revision = revision WHERE id = 1")
	return wrap("ping store", err)
}

// Revision is the number of the last transaction that changed something.
func (db *DB) Revision(ctx context.Context) (n int64, err error) {
	err = db.read.QueryRowContext(ctx, "SELECT revision FROM meta WHERE id = 1").Scan(&n)
	return n, wrap("read revision", err)
}

// Subscribe wakes after changes.
func (db *DB) Subscribe() (<-chan struct{}, func()) {
	wake := make(chan struct{}, 1)
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		close(wake)
		return wake, func() {}
	}
	db.subscribers[wake] = true
	return wake, func() {
		db.mu.Lock()
		defer db.mu.Unlock()
		if db.subscribers[wake] {
			delete(db.subscribers, wake)
			close(wake)
		}
	}
}

func (db *DB) changed() {
	db.mu.Lock()
	defer db.mu.Unlock()
	for wake := range db.subscribers {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// poll looks for changes of other collectors.
func (db *DB) poll(ctx context.Context) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var last int64
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if n, err := db.Revision(ctx); err == nil && n != last {
			last = n
			db.changed()
		}
	}
}

// transaction is one that writes.
type transaction struct {
	*sql.Tx
	dialect  dialect
	revision int64
	rules    int64 // version of mutes, ignore rules and the register

	nextID, nextIncident int64 // numbers to give out next

	prepared *statements
	wanted   []string // statements to prepare afterwards
}

// change runs f in a transaction and wakes subscribers. newRules says that
// mutes, ignore rules or the register change.
func (db *DB) change(ctx context.Context, newRules bool, f func(*transaction) error) error {
	tx, err := db.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit there is nothing to take back
	t := &transaction{Tx: tx, dialect: db.dialect, prepared: db.prepared}
	row := tx.QueryRowContext(ctx, "UPDATE meta SET revision = revision + 1, rules = rules + $1 WHERE id = 1 RETURNING revision, rules, next_id, next_incident", number(newRules))
	if err := row.Scan(&t.revision, &t.rules, &t.nextID, &t.nextIncident); err != nil {
		return err
	}
	id, incident := t.nextID, t.nextIncident
	if err := f(t); err != nil {
		return err
	}
	if t.nextID != id || t.nextIncident != incident {
		if _, err := tx.ExecContext(ctx, "UPDATE meta SET next_id = $1, next_incident = $2 WHERE id = 1", t.nextID, t.nextIncident); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	if len(t.wanted) > 0 {
		db.prepared.prepare(ctx, db.write, t.wanted)
	}
	db.changed()
	return nil
}

func (t *transaction) id() int64 {
	t.nextID++
	return t.nextID - 1
}

func (t *transaction) incident() int64 {
	t.nextIncident++
	return t.nextIncident - 1
}

func wrap(doing string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return fmt.Errorf("%s: %w", doing, store.ErrNotFound)
	case errors.Is(err, sql.ErrConnDone):
		return fmt.Errorf("%s: %w", doing, store.ErrClosed)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// micros and moment keep times as microseconds since 1970, 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func number(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
