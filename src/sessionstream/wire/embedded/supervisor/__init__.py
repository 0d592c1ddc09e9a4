"""The process that runs the server of one data folder, and counts who uses it.

It is started detached, by the first process that finds none (`sessionstream.wire.embedded.reach`), and goes by itself.

* ``supervisor.lock`` is locked by it alone: of two that start at once, one wins. ``lock`` is locked by it and inherited
  by its server, so no second server opens the folder while a first one runs, also where the supervisor was killed.
  The next supervisor stops such a server before it starts its own: every process that used it then has to connect
  anew, and so is counted again. (Where the supervisor and all users were killed, the server waits for that.)
* To each connection to the control socket it says one thing, ended by a NUL: ``ready <path of the server's socket>`` as
  soon as the server answers, or ``failed <reason>``. A connection that ends without it came too late: dial again.
* A connection is a user for as long as it stands. When the last has gone and the grace period is over, and no one else
  talks to the server either, the server is stopped. A server that dies on the way is started again.

Standard library only, and little of that: a process that opens the store waits for it to be imported.
"""
