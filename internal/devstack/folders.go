package devstack

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// nobody is the user that Elasticsearch and PostgreSQL run as when we are root,
// which both refuse to be.
const nobody = 65534

// The folders of root's stack where the usual ones lie below a folder that nobody
// may not enter, as /root is.
const (
	rootCache = "/var/cache/" + module
	rootData  = "/var/lib/" + module
)

// serverUser gives the user for servers that refuse root; nil when we are not root.
func serverUser() *syscall.Credential {
	if os.Geteuid() != 0 {
		return nil
	}
	return &syscall.Credential{Uid: nobody, Gid: nobody}
}

// serverUserID gives the id of the user that Elasticsearch and PostgreSQL run as.
func serverUserID() int {
	if credential := serverUser(); credential != nil {
		return int(credential.Uid)
	}
	return os.Geteuid()
}

// checkUser looks whether the user that the servers run as is known to the system:
// PostgreSQL and Temporal refuse to run as one that is not.
func checkUser() error {
	id := serverUserID()
	if _, err := user.LookupId(strconv.Itoa(id)); err != nil {
		return fmt.Errorf("the servers would run as user id %d, which this system has no name for, and PostgreSQL and Temporal refuse that: add that user to /etc/passwd, or run this as another", id)
	}
	return nil
}

// enterable tells whether the server user can reach what lies in a folder that
// exists or will be made: whether it may enter every folder on the way.
func enterable(dir string) bool {
	if serverUser() == nil {
		return true
	}
	for {
		if resolved, err := filepath.EvalSymlinks(dir); err == nil {
			dir = resolved
		}
		info, err := os.Stat(dir)
		switch {
		case errors.Is(err, fs.ErrNotExist): // will be made so that it can be entered
		case err != nil:
			return false
		case !serverEnters(info):
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}

// serverEnters reports whether the server user of root's stack may enter a folder.
func serverEnters(info fs.FileInfo) bool {
	switch {
	case owner(info) == nobody:
		return info.Mode()&0o100 != 0
	case group(info) == nobody:
		return info.Mode()&0o010 != 0
	}
	return info.Mode()&0o001 != 0
}

func owner(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

func group(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Gid)
	}
	return -1
}

// toolsFolder gives the folder that keeps what was fetched and built. It is the
// user's cache, not the stack's state: `make clean` leaves it.
func toolsFolder() (string, error) {
	cache, err := os.UserCacheDir()
	if err == nil && enterable(cache) {
		return filepath.Join(cache, module), nil
	}
	if os.Geteuid() == 0 {
		return rootCache, nil
	}
	return "", fmt.Errorf("find the folder for downloaded servers: %w; set HOME or XDG_CACHE_HOME", err)
}

// makeFolder makes a folder and those above it, enterable for all whatever the
// umask is.
func makeFolder(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := makeFolder(filepath.Dir(dir)); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// makeClosedFolder makes a folder that only its owner may enter, and closes one that
// is there. Where the servers run as another user, their group may enter it too,
// without listing it: their data lies below.
func makeClosedFolder(dir string) error {
	if err := makeFolder(dir); err != nil {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o700)
	if credential := serverUser(); credential != nil {
		mode = 0o710
		if group(info) != int(credential.Gid) {
			if err := os.Chown(dir, -1, int(credential.Gid)); err != nil {
				return err
			}
		}
	}
	if info.Mode().Perm() == mode {
		return nil
	}
	return os.Chmod(dir, mode)
}

// makeServerFolder makes a folder that belongs to the server user.
func makeServerFolder(dir string) error {
	if err := makeFolder(dir); err != nil {
		return err
	}
	return giveToServer(dir)
}

// giveToServer makes a file or folder the server user's.
func giveToServer(path string) error {
	if credential := serverUser(); credential != nil {
		return os.Chown(path, int(credential.Uid), int(credential.Gid))
	}
	return nil
}

// dataFolder gives the folder for the data of Elasticsearch and PostgreSQL and
// makes it: data in the state folder, or what the link of that name leads to
// where the server user cannot enter the state folder.
func dataFolder(state string) (string, error) {
	path := filepath.Join(state, "data")
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		target := path
		if !enterable(state) {
			sum := sha256.Sum256([]byte(state))
			target = filepath.Join(rootData, hex.EncodeToString(sum[:6]))
			if err := os.Symlink(target, path); err != nil {
				return "", fmt.Errorf("make the data folder: %w", err)
			}
		}
		if err := makeServerFolder(target); err != nil {
			return "", fmt.Errorf("make the data folder: %w", err)
		}
	}
	folder, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", fmt.Errorf("find the data folder: %w; `make clean` removes what is left of it", err)
	}
	info, err := os.Stat(folder)
	if err != nil {
		return "", fmt.Errorf("find the data folder: %w", err)
	}
	want := serverUserID()
	if got := owner(info); got != want {
		return "", fmt.Errorf("the data folder %s belongs to user id %d and the servers would run as %d: run this as the user who made it; if it was copied, copy it with `cp -a`; or remove it with `make clean`", folder, got, want)
	}
	return folder, nil
}

// removeData removes the data folder of a state folder, with what its link leads to.
func removeData(state string) error {
	path := filepath.Join(state, "data")
	if target, err := os.Readlink(path); err == nil && strings.HasPrefix(target, rootData+"/") {
		if err := os.RemoveAll(target); err != nil {
			return fmt.Errorf("remove the data folder: %w", err)
		}
	}
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("remove the data folder: %w", err)
	}
	return nil
}

// freeBytes gives the free space of the disk that a folder lies on.
func freeBytes(dir string) (int64, error) {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return 0, fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil //nolint:unconvert // their types differ between systems
}
