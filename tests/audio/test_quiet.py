"""Silence of C libraries on standard error, and of nothing else."""

import ctypes
import os
import sys
import threading

import pytest

from genre.audio.quiet import quiet_c_libraries

pytestmark = pytest.mark.skipif(
    os.name != "posix" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"),
    reason="only where the C library is glibc",
)


def c_print(text):
    ctypes.CDLL(None).perror(text.encode())


def test_c_is_silent_inside_and_heard_again_outside(capfd):
    c_print("before")
    with quiet_c_libraries():
        c_print("inside")
        with quiet_c_libraries():
            c_print("nested")
        c_print("still inside")
    c_print("after")
    heard = capfd.readouterr().err
    assert "before" in heard
    assert "after" in heard
    assert "inside" not in heard
    assert "nested" not in heard


def test_python_is_heard_inside(capfd):
    with quiet_c_libraries():
        print("from Python", file=sys.stderr)
        os.write(2, b"to the descriptor")
    heard = capfd.readouterr().err
    assert "from Python" in heard
    assert "to the descriptor" in heard


def test_c_is_heard_again_after_an_error(capfd):
    with pytest.raises(ValueError, match="broken"), quiet_c_libraries():
        raise ValueError("broken")
    c_print("after")
    assert "after" in capfd.readouterr().err


def test_threads_leave_it_as_it_was(capfd):
    def work():
        for _ in range(200):
            with quiet_c_libraries():
                c_print("inside")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    c_print("after")
    heard = capfd.readouterr().err
    assert "inside" not in heard
    assert "after" in heard


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_process_forked_inside_starts_afresh(capfd):
    with quiet_c_libraries():
        child = os.fork()
        if child == 0:
            c_print("child")
            with quiet_c_libraries():
                c_print("quiet child")
            os._exit(0)
        os.waitpid(child, 0)
    heard = capfd.readouterr().err
    assert "child" in heard
    assert "quiet child" not in heard
