"""Write the data of the live figures, and the pictures printed in their place: `make figures`."""

import angles
import clinic
import rewind
import seeds
import weights

for figure in (angles, clinic, seeds, weights, rewind):
    figure.main()
