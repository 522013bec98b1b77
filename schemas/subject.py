"""Animals."""

import datajoint as dj

schema = dj.Schema()


@schema
class Mouse(dj.Manual):
    """A mouse, under the name that the lab uses for it."""

    definition = """
    mouse_id : varchar(64)
    ---
    sex='unknown' : enum('female', 'male', 'unknown')
    date_of_birth=null : date
    genotype='' : varchar(255)
    """
